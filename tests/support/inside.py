"""Looks into a database and sets traps there, whichever engine it is."""

from typing import Any

from postroom.storage.checks import sqlite
from postroom.storage.checks.examine import DATA, Checks
from postroom.storage.checks.findings import Finding, State
from postroom.storage.checks.snapshots import snapshot
from postroom.storage.database import Database
from postroom.storage.engine import Connection
from postroom.storage.postgresql import checks as postgresql


def is_postgresql(database: Database) -> bool:
    """Whether it is one on a PostgreSQL server."""
    return database.engine.startswith("PostgreSQL")


async def assert_sound(database: Database) -> None:
    """The database is whole, and keeps what the checks of `postroom doctor` look at."""
    checks = (*postgresql.CHECKS, *postgresql.SEARCH) if is_postgresql(database) else (*sqlite.CHECKS, *sqlite.SEARCH)
    found = await database.read(_examined, (*DATA, *checks))
    # The tests' own server need not be safe, and a test may have a trigger of its own.
    tolerated = {"engine", "additions", "schema"}
    wrong = [each for each in found if each.state is not State.OK and each.name not in tolerated]
    assert not wrong, wrong


def _examined(connection: Any, checks: Checks) -> list[Finding]:
    with snapshot(connection):
        return [check.examine(connection) for check in checks]


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
