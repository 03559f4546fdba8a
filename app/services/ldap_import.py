"""Imports one person from the directory."""

from collections.abc import Sequence
from dataclasses import dataclass

from postroom.app.directory.differences import is_taken
from postroom.app.directory.mapping import Entry, MappedUser, map_entry
from postroom.app.directory.object_id import escape_object_id, parse_object_id
from postroom.app.directory.plan import NO_CONTACTS
from postroom.app.directory.scope import home_of
from postroom.app.errors import ConflictError, InvalidError, NotFoundError
from postroom.app.services.context import Context
from postroom.app.services.downsync import log_warnings
from postroom.app.services.ldap_targets import SyncTarget, Target, is_shown, targets
from postroom.app.transactions import authority
from postroom.app.transactions.authority import Actor
from postroom.app.transactions.ldap_users import Linking, create_from_directory, update_from_directory
from postroom.app.transactions.users import Change
from postroom.schemas.addresses import domain_of
from postroom.storage import ldap_users, users
from postroom.storage.engine import Connection


@dataclass(frozen=True, slots=True)
class Imported:
    """A user who was created or updated. Only a contact may become several: one in each organisation."""

    user_id: int
    created: bool
    document: bytes


async def import_user(
    context: Context, sync_target: SyncTarget, object_id: str, *, force: bool, lang: str, actor: Actor
) -> list[Imported]:
    """Creates a user (or contact) from an object, or updates the one that is linked to it.

    `force` also links an existing user of the same name. Raises NotFoundError (no such object, domain, organisation),
    ConflictError (an unlinked user has the name, the contact is in a domain that the actor may not change, or the
    domain has moved to another organisation meanwhile), InvalidError (the object cannot become a user), ForbiddenError
    (the actor would change the identity of a user with more permissions), UnavailableError.
    """
    raw = parse_object_id(object_id)
    target, entry = await find_entry(context, sync_target, raw)
    change = Change(actor, system_admin=False, now=context.now())
    imported, warnings = await context.database.write(
        _import, target, sync_target, entry, escape_object_id(raw), lang, change, force
    )
    log_warnings(f"object {escape_object_id(raw)}", warnings)
    return imported


async def find_entry(context: Context, sync_target: SyncTarget, raw: bytes) -> tuple[Target, Entry]:
    """The entry of an object, and the target that has it.

    Raises UnavailableError; NotFoundError for callers who may see every object. Other callers get InvalidError, whether
    the object does not exist or is hidden from them.
    """
    for target in await targets(context, sync_target):
        entry = await target.directory.fetch(raw)
        if entry is not None and is_shown(entry, target):
            return target, entry
    if not sync_target.reach.everything:
        raise InvalidError(f"There is no object {escape_object_id(raw)} that could belong to a domain of yours")
    raise NotFoundError(f"There is no object {escape_object_id(raw)} in the directory")


def why_not(mapped: MappedUser, target: Target) -> str | None:
    """Why an entry cannot become a user of the target; None if it can."""
    scope = target.scope
    if mapped.is_contact:
        if not target.directory.config.contacts:
            return NO_CONTACTS
        return None if scope.domains else "There is no domain that could have contacts"
    name = domain_of(mapped.username)
    domain = scope.all_domains.get(name)
    if domain is None:
        return f"There is no domain {name}"
    return None if domain.id in scope.domains else f"The domain {name} is not one that was asked for"


def _import(
    connection: Connection,
    target: Target,
    sync_target: SyncTarget,
    entry: Entry,
    object_id: str,
    lang: str,
    change: Change,
    force: bool,
) -> tuple[list[Imported], list[str]]:
    scope, config = target.scope, target.directory.config
    mapped = map_entry(entry, config, scope.accepts)
    reason = why_not(mapped, target)
    if reason is not None:
        raise InvalidError(f"The object {object_id} cannot be imported: {reason}")
    linking = Linking(object_id, mapped, config, change.actor, scope.orgs(), lang)
    linked = ldap_users.list_linked(connection, [object_id], scope.siblings()).get(object_id, [])
    places: list[tuple[int, int | None]] = []
    if mapped.is_contact:
        rows = {row.id: row for row in scope.all_domains.values()}
        there = {home_of(rows[user.domain_id]): (user.domain_id, user.id) for user in linked}
        places = [there.get(home, (domain_id, None)) for home, domain_id in scope.homes().items()]
        for domain_id, _ in places:
            if domain_id not in sync_target.reach:
                raise ConflictError(
                    "The contact already exists in a domain of the organisation that you may not change"
                )
    else:
        domain_id = scope.all_domains[domain_of(mapped.username)].id
        own = next((user.id for user in linked if user.domain_id == domain_id), None)
        places = [(domain_id, own if own is not None else _namesake(connection, mapped, force))]
    # The actor's permissions may have changed while the directory was asked.
    authority.check_may_write(connection, change.actor, [domain_id for domain_id, _ in places])
    imported: list[Imported] = []
    warnings: list[str] = []
    for domain_id, user_id in places:
        created = user_id is None
        if user_id is None:
            user_id, found = create_from_directory(connection, domain_id, linking, change)
        else:
            found = update_from_directory(connection, domain_id, user_id, linking)
        warnings += found
        imported.append(Imported(user_id, created, users.read_user(connection, user_id)))
    return imported, warnings


def _namesake(connection: Connection, mapped: MappedUser, force: bool) -> int | None:
    """The existing user of that name, to be linked, or None. Raises ConflictError."""
    owners = ldap_users.list_owners(connection, [mapped.username])
    if is_taken(owners, mapped.username, None, "alias", "altname"):
        raise ConflictError(f"The address {mapped.username} is an alias or an alternative login name of another user")
    found = next((owner for names in owners.values() for _, owner in names), None)
    if found is not None and not force:
        raise ConflictError(
            f"The user {mapped.username} exists and is not linked to this object; force=true links them"
        )
    return found


def imported_message(imported: Sequence[Imported]) -> str:
    """A sentence on what became of a contact in several organisations."""
    created = sum(one.created for one in imported)
    return f"The contact has been imported {created} times and updated {len(imported) - created} times"
