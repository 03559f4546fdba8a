"""The rules of a user's forward, where it is changed alone."""

from collections.abc import Mapping
from typing import Any

from postroom.app.transactions.lookups import user_not_found
from postroom.app.transactions.users import Change, change_user
from postroom.app.transactions.versions import check_match
from postroom.storage.engine import Connection
from postroom.storage.forwards import read_forward


def change_forward(
    connection: Connection, domain_id: int, user_id: int, forward: Mapping[str, Any] | None, change: Change
) -> bytes:
    """Sets or (None) removes the forward, as PATCH of the user does; returns the new document.

    Raises NotFoundError, PreconditionFailedError.
    """
    current = read_forward(connection, domain_id, user_id)
    if current is None:
        raise user_not_found(domain_id, user_id)
    check_match(change.allowed, current)
    # The versions are those of the forward, not of the user.
    change_user(connection, domain_id, user_id, {"forward": forward}, change._replace(allowed=None))
    return read_forward(connection, domain_id, user_id) or current
