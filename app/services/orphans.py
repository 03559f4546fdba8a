"""Users whose object is no longer in the directory."""

from collections import Counter
from collections.abc import Mapping, Sequence

from postroom.app.auth.tokens import Caller
from postroom.app.directory.client import Directory
from postroom.app.directory.object_id import parse_object_id
from postroom.app.directory.values import SMTP_ADDRESS
from postroom.app.errors import ConflictError, ForbiddenError, NotFoundError
from postroom.app.services.context import Context
from postroom.app.services.ldap_targets import SyncTarget, Target, is_concerned, targets
from postroom.app.transactions import authority
from postroom.app.transactions.users import remove_user
from postroom.schemas.values.proptags import DISPLAY_NAME
from postroom.storage import domains, ldap_users, users
from postroom.storage.domains import DomainRow
from postroom.storage.engine import Connection
from postroom.storage.ldap_users import Linked

#: Users that are looked up, and removed, together.
_BATCH = 500


async def show_orphans(context: Context, sync_target: SyncTarget) -> list[dict[str, object]]:
    """The linked users whose object is gone, with the fields of the API; a value that is not set is "".

    Raises NotFoundError, ForbiddenError (see targets), UnavailableError when a directory cannot be asked.
    """
    orphans, _ = await _find_orphans(context, await targets(context, sync_target))
    ids = [user.id for user in orphans]
    names = await context.database.read(ldap_users.list_texts, ids, DISPLAY_NAME)
    addresses = await context.database.read(ldap_users.list_texts, ids, SMTP_ADDRESS)
    return [
        {
            "ID": user.id,
            "username": user.username,
            "displayname": names.get(user.id, ""),
            "status": user.status,
            "smtpaddress": addresses.get(user.id, ""),
        }
        for user in orphans
    ]


async def gone(directory: Directory, linked: Sequence[Linked]) -> list[Linked]:
    """The users whose object does not exist. Raises UnavailableError."""
    ids = {user.id: parse_object_id(user.ldap_id) for user in linked}
    existing = await directory.existing(set(ids.values()))
    return [user for user in linked if ids[user.id] not in existing]


async def delete_orphans(
    context: Context, sync_target: SyncTarget, caller: Caller, user_id: int | None, *, force: bool
) -> list[dict[str, object]]:
    """Removes all orphans, or only the user `user_id`; returns ID and username of each.

    Users with more permissions than the caller stay. Raises NotFoundError (`user_id` is no orphan), ConflictError (see
    check_share), ForbiddenError (also when the caller has lost the permission meanwhile), UnavailableError.
    """
    found = await targets(context, sync_target)
    orphans, linked = await _find_orphans(context, found)
    if user_id is not None:
        orphans = [user for user in orphans if user.id == user_id]
        if not orphans:
            raise NotFoundError(f"There is no user {user_id} whose object is gone from the directory")
    else:
        rows = {domain.id: domain for target in found for domain in target.scope.domains.values()}
        check_share(context, rows, orphans, linked, force=force)
    deleted: list[Linked] = []
    orgs = found[0].scope.orgs()
    for start in range(0, len(orphans), _BATCH):
        deleted += await context.database.write(_delete, orphans[start : start + _BATCH], sync_target, orgs, caller)
    if user_id is not None and not deleted:
        raise ForbiddenError(
            f"The user {orphans[0].username} was not deleted: they have more permissions than you, or have changed "
            "meanwhile"
        )
    return [{"ID": user.id, "username": user.username} for user in deleted]


def check_share(
    context: Context,
    rows: Mapping[int, DomainRow],
    orphans: Sequence[Linked],
    linked: Mapping[int, int],
    *,
    force: bool,
) -> None:
    """Raises ConflictError when too many linked users are gone: more likely a filter is wrong than that all have left.

    `linked` is domain -> number of its linked users. The limit applies to all users together and to each domain by
    itself, because a wrong base DN usually affects one domain. One user of each domain may always be gone; otherwise a
    small domain would need `force` for everybody who leaves.
    """
    if force:
        return
    _check_share(context, len(orphans), sum(linked.values()), "")
    for domain_id, count in Counter(user.domain_id for user in orphans).items():
        if count > 1:
            _check_share(context, count, linked.get(domain_id, 0), f" of the domain {rows[domain_id].domainname}")


def _check_share(context: Context, count: int, total: int, of_what: str) -> None:
    share = context.config.ldap_orphan_share
    if count * 100 > total * share:
        raise ConflictError(
            f"The directory lacks {count} of {total} linked users{of_what}, which is more than {share:g} percent. "
            "None of them was touched: check the configuration of the directory, or set force=true"
        )


async def _find_orphans(context: Context, found: Sequence[Target]) -> tuple[list[Linked], dict[int, int]]:
    """The linked users whose object is gone, and domain -> number of its linked users.

    A user whose entry exists is no orphan, even if the entry has lost attributes or no longer matches the filters.
    """
    orphans: list[Linked] = []
    linked: Counter[int] = Counter()
    for target in found:
        last = -1
        while page := await context.database.read(
            ldap_users.list_linked_after, list(target.scope.domains), last, _BATCH
        ):
            last = page[-1].id
            linked.update(user.domain_id for user in page)
            orphans += await gone(target.directory, page)
    return orphans, linked


def _delete(
    connection: Connection,
    orphans: Sequence[Linked],
    sync_target: SyncTarget,
    orgs: Mapping[int, int | None],
    caller: Caller,
) -> list[Linked]:
    # Roles and domains may have changed while the directory was asked.
    grants = authority.grants_of(connection, caller)
    deleted = []
    for orphan in orphans:
        user = users.find_user(connection, orphan.domain_id, orphan.id)
        # Meanwhile the user was removed or linked to another object, or the domain has left the target.
        if user is None or user.ldap_id != orphan.ldap_id or not _is_meant(connection, user.domain_id, sync_target):
            continue
        # Another directory may serve the domain now, and have the user.
        if user.org_id != orgs[user.domain_id]:
            continue
        if user.domain_id not in grants.write:
            raise ForbiddenError("You do not have the permission for this")
        if authority.reaches(connection, grants, user.id):
            remove_user(connection, user)
            deleted.append(orphan)
    return deleted


def _is_meant(connection: Connection, domain_id: int, sync_target: SyncTarget) -> bool:
    domain = domains.find_domain(connection, domain_id)
    return domain is not None and is_concerned(domain, sync_target)
