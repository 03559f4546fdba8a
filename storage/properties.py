"""The property store: one row a property, one store per user, whichever operation writes it."""

import json
import sqlite3

from postroom.storage.proptags import Kind, PropTag
from postroom.storage.text import fold

#: A value as the API shows it: by the property's kind, or a list of such.
Value = int | str | bool | list[int] | list[str] | list[bool]


def set_property(connection: sqlite3.Connection, user_id: int, proptag: PropTag, value: Value) -> None:
    """Writes one property. The value has the proptag's kind; whoever calls has checked that."""
    values = value if isinstance(value, list) else [value]
    number = folded = None
    if proptag.kind in (Kind.INTEGER, Kind.BOOLEAN):
        number = None if proptag.multi else int(values[0])
    else:
        folded = fold("\n".join(str(single) for single in values))
    connection.execute(
        """
        INSERT INTO properties (user_id, tag, name, kind, multi, value, number, folded)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (user_id, tag)
            DO UPDATE SET value = excluded.value, number = excluded.number, folded = excluded.folded
        """,
        (
            user_id,
            proptag.tag,
            proptag.name,
            proptag.kind,
            proptag.multi,
            json.dumps(value) if proptag.multi else value,
            number,
            folded,
        ),
    )


def delete_property(connection: sqlite3.Connection, user_id: int, tag: int) -> None:
    """Removes one property; one that is not there is fine."""
    connection.execute("DELETE FROM properties WHERE user_id = ? AND tag = ?", (user_id, tag))
