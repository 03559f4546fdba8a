"""The property store on its own. Functions that write are one transaction each, as in users.py."""

import sqlite3
from collections.abc import Mapping, Sequence

from postroom.app.errors import InvalidError
from postroom.app.services.users import find_user_or_raise, set_properties, user_not_found
from postroom.schemas.users import STATUS_CONTACT
from postroom.storage.database import Database
from postroom.storage.properties import Value, select_properties
from postroom.storage.proptags import PropTag


async def read(database: Database, domain_id: int, user_id: int, proptags: Sequence[PropTag]) -> bytes:
    """The JSON object `data` of those properties that are there. Raises NotFoundError, InvalidError (a contact)."""
    found = await select_properties(database, domain_id, user_id, [proptag.tag for proptag in proptags])
    if found is None:
        raise user_not_found(domain_id, user_id)
    _check_status(user_id, found.status)
    return found.document


def change(
    connection: sqlite3.Connection, domain_id: int, user_id: int, properties: Mapping[PropTag, Value | None]
) -> str:
    """Writes properties, None removes one; returns the username. Raises NotFoundError, InvalidError (a contact)."""
    user = find_user_or_raise(connection, domain_id, user_id)
    _check_status(user_id, user.status)
    set_properties(connection, user_id, properties)
    return user.username


def _check_status(user_id: int, status: int) -> None:
    if status == STATUS_CONTACT:
        raise InvalidError(f"User {user_id} is a contact, which has no store")
