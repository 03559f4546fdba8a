"""IDs that are given, in place of those that the database would give next."""

from postroom.storage.engine import Connection
from postroom.storage.spelling import pair

_FORGET = pair("DELETE FROM sqlite_sequence WHERE name = ? /* the last ID */", "SELECT 1 WHERE CAST(? AS text) IS NULL")
_SET = pair(
    "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ? - 1) /* the last ID */",
    "SELECT setval(pg_get_serial_sequence(?, 'id'), ?, false) /* the next ID */",
)


def set_next_id(connection: Connection, table: str, following: int) -> None:
    """The next new row of a table gets this ID, unless there is a row with this or a larger one: a sequence that goes
    back would give IDs that are taken.

    Only for tables whose IDs come from a sequence.
    """
    if connection.execute(f"SELECT EXISTS (SELECT 1 FROM {table} WHERE id >= ?)", (following,)).fetchone()[0]:
        return
    connection.execute(_FORGET, (table,))
    connection.execute(_SET, (table, following))
