"""The disabled webmail plugins of a domain, stored as a list of names in the domain's row."""

import json
from collections.abc import Sequence

from postroom.schemas.values.text import fold
from postroom.storage.database import Database
from postroom.storage.engine import Connection

_SELECT = """SELECT CAST('{"data":' || disabled_plugins || '}' AS BLOB) FROM domains WHERE id = ?"""
# Find the user by username or alias, as everywhere in /service.
_SELECT_BY_ADDRESS = """
    SELECT CAST('{"data":' || d.disabled_plugins || '}' AS BLOB)
      FROM addresses a
      JOIN users u ON u.id = a.user_id
      JOIN domains d ON d.id = u.domain_id
     WHERE a.key = ? AND a.kind <> 'altname'
"""


async def select_disabled_plugins(database: Database, domain_id: int) -> bytes | None:
    """The response `{"data": [names]}` as JSON, None when there is no such domain."""
    found: bytes | None = await database.fetch_by_key(_SELECT, (domain_id,))
    return found


async def select_disabled_plugins_of(database: Database, username: str) -> bytes | None:
    """The same response for the domain of a user, or None when nobody has that name."""
    found: bytes | None = await database.fetch_by_key(_SELECT_BY_ADDRESS, (fold(username),))
    return found


def set_disabled_plugins(connection: Connection, domain_id: int, names: Sequence[str]) -> None:
    """Replaces the disabled plugins of a domain."""
    connection.execute("UPDATE domains SET disabled_plugins = ? WHERE id = ?", (json.dumps(names), domain_id))
