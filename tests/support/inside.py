"""Looks into a database and sets traps there, whichever engine it is."""

from typing import Any

from postroom.storage.database import Database
from postroom.storage.engine import Connection


def is_postgresql(database: Database) -> bool:
    """Whether it is one on a PostgreSQL server."""
    return database.engine.startswith("PostgreSQL")


async def assert_sound(database: Database) -> None:
    """The file is whole and every reference leads somewhere; a PostgreSQL server sees to both by itself."""
    if not is_postgresql(database):
        assert await database.fetch_all("PRAGMA integrity_check") == [("ok",)]
        assert await database.fetch_all("PRAGMA foreign_key_check") == []


async def tables_of_users(database: Database) -> list[str]:
    """The tables with a column user_id."""
    if is_postgresql(database):
        sql = "SELECT table_name FROM information_schema.columns WHERE column_name = 'user_id'"
    else:
        sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%user_id%'"
    return [table for (table,) in await database.fetch_all(sql)]


def forbid(connection: Connection, operation: str, condition: str, text: str) -> None:
    """A trigger that refuses an operation ("INSERT") on addresses for rows that are so, with this text."""
    raw: Any = getattr(connection, "raw", None)
    if raw is None:
        connection.execute(
            f"CREATE TRIGGER forbidden BEFORE {operation} ON addresses WHEN {condition} "
            f"BEGIN SELECT raise(ABORT, '{text}'); END"
        )
        return
    raw.execute(
        f"CREATE TRIGGER forbidden BEFORE {operation} ON addresses FOR EACH ROW WHEN ({condition}) "
        f"EXECUTE FUNCTION refuse('{text}')"
    )
