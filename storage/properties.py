"""The property stores of users: one row for each property."""

import json
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from itertools import chain

from postroom.schemas.values.proptags import Kind, PropTag, Value
from postroom.schemas.values.text import fold
from postroom.storage.database import Database
from postroom.storage.engine import Connection
from postroom.storage.spelling import pair
from postroom.storage.user_documents import PROPERTY_VALUE


@lru_cache(maxsize=64)
def _select(tags: int) -> str:
    return f"""
        SELECT CAST(json_object('data', json((
                   SELECT json_group_object(p.name, {PROPERTY_VALUE})
                     FROM properties p
                    WHERE p.user_id = u.id AND p.tag IN ({", ".join("?" * tags)})
               ))) AS BLOB)
          FROM users u
         WHERE u.id = ? AND u.domain_id = ? AND u.status <> 5
    """


#: Most rows in one statement. More would hardly be faster, and each number of rows is another cached statement.
_MOST_ROWS = 64


#: A value of any type. PostgreSQL's column holds text.
_ANY_TYPE = pair("? /* of any type */", "CAST(? AS text)")


@cache
def _insert(rows: int) -> str:
    return f"""
        INSERT INTO properties (domain_id, user_id, tag, name, kind, multi, value, number, folded)
        VALUES {", ".join([f"(?, ?, ?, ?, ?, ?, {_ANY_TYPE}, CAST(? AS INTEGER), ?)"] * rows)}
            ON CONFLICT (user_id, tag)
            DO UPDATE SET value = excluded.value, number = excluded.number, folded = excluded.folded
    """


async def select_properties(database: Database, domain_id: int, user_id: int, tags: Sequence[int]) -> bytes | None:
    """The response `{"data": {name: value}}` with the properties that are set. None: no such user, or a contact."""
    found: bytes | None = await database.fetch_by_key(_select(len(tags)), (*tags, user_id, domain_id))
    return found


def write_properties(connection: Connection, user_id: int, properties: Mapping[PropTag, Value]) -> None:
    """Writes properties. The caller has to check that the values have the proptags' kinds."""
    if properties:
        (domain_id,) = connection.execute("SELECT domain_id FROM users WHERE id = ?", (user_id,)).fetchone()
        rows = [(domain_id, *_row(user_id, proptag, value)) for proptag, value in properties.items()]
        for start in range(0, len(rows), _MOST_ROWS):
            part = rows[start : start + _MOST_ROWS]
            connection.execute(_insert(len(part)), list(chain.from_iterable(part)))


def _row(user_id: int, proptag: PropTag, value: Value) -> tuple[object, ...]:
    values = value if isinstance(value, list) else [value]
    number = folded = None
    if proptag.kind in (Kind.INTEGER, Kind.BOOLEAN):
        number = None if proptag.multi else int(values[0])
    else:
        folded = fold("\n".join(str(single) for single in values))
    stored = json.dumps(value) if proptag.multi else value
    return (user_id, proptag.tag, proptag.name, proptag.kind, proptag.multi, stored, number, folded)


def delete_property(connection: Connection, user_id: int, tag: int) -> None:
    """Removes one property, if it is set."""
    connection.execute("DELETE FROM properties WHERE user_id = ? AND tag = ?", (user_id, tag))


def count_octets(connection: Connection, user_id: int) -> int:
    """The total size of a user's property values, in octets."""
    (octets,) = connection.execute(
        "SELECT coalesce(sum(length(CAST(value AS BLOB))), 0) FROM properties WHERE user_id = ?", (user_id,)
    ).fetchone()
    return int(octets)
