"""Users whose object is no longer in the directory."""

import sqlite3
from collections.abc import Sequence

from postroom.app.context import Context
from postroom.app.directory.client import Directory
from postroom.app.directory.object_id import parse_object_id
from postroom.app.errors import ConflictError, NotFoundError
from postroom.app.services.ldap_targets import Target
from postroom.app.services.users import remove_user
from postroom.storage import ldap_users, users
from postroom.storage.ldap_users import Linked

#: Users that are looked up, and removed, together.
_BATCH = 500


async def list_orphans(context: Context, found: Sequence[Target]) -> tuple[list[Linked], int]:
    """The linked users whose object is gone, and how many linked users there are altogether.

    Nobody is an orphan whose entry is there, whatever it has lost and whether the filters find it or not.
    UnavailableError when a directory cannot be asked.
    """
    orphans: list[Linked] = []
    total = 0
    for target in found:
        last = -1
        while page := await context.database.read(
            ldap_users.list_linked_after, list(target.scope.domains), last, _BATCH
        ):
            last = page[-1].id
            total += len(page)
            orphans += await gone(target.directory, page)
    return orphans, total


async def gone(directory: Directory, linked: Sequence[Linked]) -> list[Linked]:
    """Those of the users whose object is not there. Raises UnavailableError."""
    ids = {user.id: parse_object_id(user.ldap_id) for user in linked}
    existing = await directory.existing(set(ids.values()))
    return [user for user in linked if ids[user.id] not in existing]


async def delete_orphans(
    context: Context, found: Sequence[Target], user_id: int | None, *, force: bool
) -> list[dict[str, object]]:
    """Removes the orphans, or the one who is named, and returns ID and username of each.

    Raises NotFoundError (the one who is named is no orphan), ConflictError (they are more than the configured share of
    all linked users, and `force` is not set: then nobody is removed), UnavailableError.
    """
    orphans, total = await list_orphans(context, found)
    if user_id is not None:
        orphans = [user for user in orphans if user.id == user_id]
        if not orphans:
            raise NotFoundError(f"There is no user {user_id} whose object is gone from the directory")
    else:
        check_share(context, len(orphans), total, force=force)
    deleted: list[Linked] = []
    for start in range(0, len(orphans), _BATCH):
        deleted += await context.database.write(_delete, orphans[start : start + _BATCH])
    return [{"ID": user.id, "username": user.username} for user in deleted]


def check_share(context: Context, count: int, total: int, *, force: bool) -> None:
    """Raises ConflictError when so many of the linked users cannot have left: then rather the filter is wrong."""
    share = context.config.ldap_orphan_share
    if not force and count * 100 > total * share:
        raise ConflictError(
            f"The directory lacks {count} of {total} linked users, which is more than {share:g} percent. "
            "None of them was touched: look at the configuration of the directory, or say force=true"
        )


def _delete(connection: sqlite3.Connection, orphans: Sequence[Linked]) -> list[Linked]:
    deleted = []
    for orphan in orphans:
        user = users.find_user(connection, orphan.domain_id, orphan.id)
        # Gone, or linked to something else, since the directory was asked.
        if user is not None and user.ldap_id == orphan.ldap_id:
            remove_user(connection, user)
            deleted.append(orphan)
    return deleted
