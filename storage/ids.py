"""IDs that are given, in place of those that the database would give next."""

from postroom.storage.engine import Connection
from postroom.storage.spelling import pair

_FORGET = pair("DELETE FROM sqlite_sequence WHERE name = ? /* the last ID */", "SELECT 1 WHERE CAST(? AS text) IS NULL")
_SET = pair(
    "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?) /* the last ID */",
    "SELECT setval(pg_get_serial_sequence(?, 'id'), ?)",
)


def set_last_id(connection: Connection, table: str, last: int) -> None:
    """The next new row of a table gets the ID after `last`, which is positive.

    Only for tables whose IDs come from a sequence, and only when no row has a larger ID.
    """
    connection.execute(_FORGET, (table,))
    connection.execute(_SET, (table, last))
