"""Deletes old rows of the record, a few at a time, so that no write waits for long."""

from typing import Final

from postroom.storage.engine import Connection

#: Rows that are deleted in one transaction: some milliseconds.
PIECE: Final = 200


def find_older(connection: Connection, row_id: int) -> int | None:
    """The first row with a lower ID, or None."""
    row = connection.execute("SELECT id FROM audit WHERE id < ? ORDER BY id LIMIT 1", (row_id,)).fetchone()
    return int(row[0]) if row else None


def delete_older(connection: Connection, row_id: int) -> None:
    """Deletes the first rows with lower IDs."""
    connection.execute(
        "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE id < ? ORDER BY id LIMIT ?)", (row_id, PIECE)
    )
