"""The out-of-office state: one row for each user who has ever set it. Without a row it is off."""

from collections.abc import Mapping
from typing import Any

from postroom.schemas.values.text import fold
from postroom.storage.database import Database
from postroom.storage.engine import Connection

#: Name in the API -> column.
COLUMNS = {
    "state": "state",
    "externalAudience": "external_audience",
    "startTime": "start_time",
    "endTime": "end_time",
    "internalSubject": "internal_subject",
    "internalReply": "internal_reply",
    "externalSubject": "external_subject",
    "externalReply": "external_reply",
}
#: The fields that are always set, with their default values.
DEFAULTS = {"state": 0, "externalAudience": 0}

# json_patch() leaves out only NULL, so an empty subject stays.
_DOCUMENT = f"""json_patch(
    json_object({", ".join(f"'{name}', coalesce(o.{COLUMNS[name]}, {value})" for name, value in DEFAULTS.items())}),
    json_object({", ".join(f"'{name}', o.{column}" for name, column in COLUMNS.items() if name not in DEFAULTS)}))"""

_SELECT_BY_ID = f"""
    SELECT CAST({_DOCUMENT} AS BLOB)
      FROM users u
      LEFT JOIN oof o ON o.user_id = u.id
     WHERE u.id = ?
"""
_SELECT = f"{_SELECT_BY_ID} AND u.domain_id = ? AND u.status <> 5"
# The administrator and contacts have names, too, but no mailbox.
_SELECT_BY_ADDRESS = f"""
    SELECT CAST({_DOCUMENT} AS BLOB)
      FROM addresses a
      JOIN users u ON u.id = a.user_id
      LEFT JOIN oof o ON o.user_id = u.id
     WHERE a.key = ? AND a.kind <> 'altname' AND u.domain_id IS NOT NULL AND u.status <> 5
"""


async def select_oof(database: Database, domain_id: int, user_id: int) -> bytes | None:
    """The JSON document; None for a contact or when the domain has no such user."""
    found: bytes | None = await database.fetch_by_key(_SELECT, (user_id, domain_id))
    return found


async def select_oof_of_address(database: Database, address: str) -> bytes | None:
    """The JSON document of the user with this username or alias, in any case, or None."""
    found: bytes | None = await database.fetch_by_key(_SELECT_BY_ADDRESS, (fold(address),))
    return found


def read_oof(connection: Connection, user_id: int) -> bytes:
    """The JSON document of an existing user, inside a transaction."""
    found: bytes = connection.execute(_SELECT_BY_ID, (user_id,)).fetchone()[0]
    return found


def find_oof(connection: Connection, user_id: int) -> dict[str, Any]:
    """All fields by their names in the API; None if not set."""
    row = connection.execute(f"SELECT {', '.join(COLUMNS.values())} FROM oof WHERE user_id = ?", (user_id,)).fetchone()
    return dict(zip(COLUMNS, row, strict=True)) if row else dict.fromkeys(COLUMNS) | DEFAULTS


def set_oof(connection: Connection, user_id: int, fields: Mapping[str, Any]) -> None:
    """Writes all fields of COLUMNS; None means "not set"."""
    connection.execute(
        f"""
        INSERT INTO oof (user_id, {", ".join(COLUMNS.values())})
        VALUES (?, {", ".join("?" * len(COLUMNS))})
            ON CONFLICT (user_id)
            DO UPDATE SET {", ".join(f"{column} = excluded.{column}" for column in COLUMNS.values())}
        """,
        (user_id, *(fields[name] for name in COLUMNS)),
    )
