"""An empty database of each engine, side by side, with the same rows in both if wanted."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import psycopg

from postroom.storage.database import Database
from postroom.storage.sqlite import sqlite3

#: What the two engines need for themselves.
SQLITE_OWN = ("sqlite_%", "user_search%")
POSTGRESQL_OWN = {"schema_version", "user_search"}

_FILLED = Path(__file__).parents[1] / "data" / "schema_0001.sql"


async def make_sqlite(path: Path, *, filled: bool = False, key_file: str | None = None) -> None:
    """A database of this version; `filled`: with rows in every table that the first version had."""
    if filled:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.executescript(_FILLED.read_text("utf-8"))
    await (await Database.open(str(path), key_file=key_file)).close()


@contextlib.contextmanager
def open_sqlite(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection in autocommit mode, with foreign keys."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        yield connection


@contextlib.contextmanager
def open_postgresql(url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection in autocommit mode."""
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def run(connection: psycopg.Connection[Any], sql: str, values: tuple[object, ...] = ()) -> psycopg.Cursor[Any]:
    """Runs a statement whose text is made by the tests; without values a percent sign is one."""
    return connection.execute(cast("Any", sql), values or None)


def sqlite_tables(connection: sqlite3.Connection) -> list[str]:
    """The tables that the service has made."""
    own = " ".join(f"AND name NOT LIKE '{pattern}'" for pattern in SQLITE_OWN)
    rows = connection.execute(f"SELECT name FROM sqlite_schema WHERE type = 'table' {own} ORDER BY name")
    return [name for (name,) in rows]


def postgresql_tables(connection: psycopg.Connection[Any]) -> list[str]:
    """The same."""
    rows = run(connection, "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
    return sorted(name for (name,) in rows if name not in POSTGRESQL_OWN)


def columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """The columns of a table, in order."""
    return [row[1] for row in connection.execute(f"PRAGMA table_xinfo({table})")]


def copy(source: sqlite3.Connection, target: psycopg.Connection[Any]) -> None:
    """Copies all rows as they are. The target has to be a connection of the server's administrator."""
    run(target, "SET session_replication_role = replica")  # neither triggers nor foreign keys
    for table in sqlite_tables(source):
        run(target, f"DELETE FROM {table}")
        names = columns(source, table)
        marks = ", ".join(["%s"] * len(names))
        for row in source.execute(f"SELECT {', '.join(names)} FROM {table}").fetchall():
            run(target, f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", _row(table, names, row))
    run(target, "SET session_replication_role = origin")
    continue_ids(target)


def _row(table: str, names: list[str], row: tuple[Any, ...]) -> tuple[object, ...]:
    return tuple(
        str(value) if (table, name) == ("properties", "value") else value
        for name, value in zip(names, row, strict=True)
    )


def continue_ids(connection: psycopg.Connection[Any]) -> None:
    """Lets IDs go on behind those that were given by hand."""
    tables = run(
        connection,
        "SELECT table_name FROM information_schema.columns WHERE is_identity = 'YES' AND table_schema = 'public'",
    )
    for (table,) in tables.fetchall():
        following = f"(SELECT coalesce(max(id), 0) + 1 FROM {table})"
        run(connection, f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {following}, false)")
