"""Finds users by their names."""

from postroom.schemas.values.text import fold
from postroom.storage.engine import Connection


def find_id_by_username(connection: Connection, domain_id: int, username: str) -> int | None:
    """The ID of the domain's user with this username in any case, or None."""
    sql = """
        SELECT u.id
          FROM addresses a
          JOIN users u ON u.id = a.user_id
         WHERE a.kind = 'username' AND a.key = ? AND u.domain_id = ?
    """
    row = connection.execute(sql, (fold(username), domain_id)).fetchone()
    return int(row[0]) if row else None
