"""The rules of access to a store; each function is one transaction."""

from collections.abc import Sequence

from postroom.app.errors import InvalidError, NotFoundError
from postroom.app.transactions.lookups import find_mailbox_or_raise
from postroom.app.transactions.versions import Expected, check_match
from postroom.schemas.delegates import LONGEST_LIST
from postroom.storage import store_access
from postroom.storage.engine import Connection


def add_member(connection: Connection, domain_id: int, user_id: int, username: str) -> None:
    """Gives one user access to the store; idempotent. Raises NotFoundError, InvalidError (a contact, too many)."""
    find_mailbox_or_raise(connection, domain_id, user_id)
    store_access.add_members(connection, user_id, [_find_or_raise(connection, domain_id, username)])
    if store_access.count_members(connection, user_id) > LONGEST_LIST:
        # A client could read a longer list but not send it back.
        raise InvalidError(f"The store is open to {LONGEST_LIST} users already, which is the limit")


def replace_members(
    connection: Connection, domain_id: int, user_id: int, usernames: Sequence[str], allowed: Expected
) -> bytes:
    """Replaces the list of users with access; returns the new document.

    Raises NotFoundError (the owner), InvalidError (names up to 50 unknown users), PreconditionFailedError.
    """
    find_mailbox_or_raise(connection, domain_id, user_id)
    check_match(allowed, store_access.read_members(connection, domain_id, user_id))
    found = store_access.find_colleagues(connection, domain_id, usernames)
    unknown = [username for username in dict.fromkeys(usernames) if username not in found]
    if unknown:
        reasons = [f"usernames: {username[:100]!r} is no user of this organisation" for username in unknown[:50]]
        raise InvalidError(f"Invalid input: {reasons[0]}", reasons)
    store_access.replace_members(connection, user_id, list(dict.fromkeys(found.values())))
    return store_access.read_members(connection, domain_id, user_id)


def remove_member(connection: Connection, domain_id: int, user_id: int, username: str) -> None:
    """Removes one user's access. Raises NotFoundError (also if they have none), InvalidError."""
    find_mailbox_or_raise(connection, domain_id, user_id)
    if not store_access.delete_member(connection, user_id, _find_or_raise(connection, domain_id, username)):
        raise NotFoundError(f"The user {username[:100]!r} has no access to this store")


def _find_or_raise(connection: Connection, domain_id: int, username: str) -> int:
    found = store_access.find_colleagues(connection, domain_id, [username])
    if username not in found:
        raise NotFoundError(f"There is no user {username[:100]!r} in this organisation")
    return found[username]
