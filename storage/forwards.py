"""The forward of a user, as a document of its own. Users' documents have it as well."""

from postroom.storage.database import Database
from postroom.storage.engine import Connection
from postroom.storage.user_documents import FORWARD

_SELECT = f"SELECT CAST(json_object({FORWARD}) AS BLOB) FROM users u WHERE u.id = ? AND u.domain_id = ?"


async def select_forward(database: Database, domain_id: int, user_id: int) -> bytes | None:
    """The response `{"forward"}` as JSON; None when the domain has no such user."""
    found: bytes | None = await database.fetch_by_key(_SELECT, (user_id, domain_id))
    return found


def read_forward(connection: Connection, domain_id: int, user_id: int) -> bytes | None:
    """Like select_forward, inside a transaction."""
    row = connection.execute(_SELECT, (user_id, domain_id)).fetchone()
    return row[0] if row else None
