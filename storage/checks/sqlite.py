"""Checks of an SQLite file itself: its pages, its references, its schema."""

import contextlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from postroom.storage import sqlite
from postroom.storage.checks import foundation, search
from postroom.storage.checks.findings import NEWER, Check, State, UnexaminedError
from postroom.storage.checks.search_index import find_wrong_rows
from postroom.storage.connections import connect_plain, uri_of
from postroom.storage.faults import DatabaseError, NoDatabaseError, WrongDatabaseError, primary_code
from postroom.storage.keyring import Keyring
from postroom.storage.migrations import WrongSchemaError, latest, migrate, version_of
from postroom.storage.sqlite import sqlite3

#: Most faults of the file that are counted: a single damaged page may be thousands.
_MOST: Final = 100

#: What belongs to SQLite, to its search index, and to a program that copies the file all the time.
_SCHEMA: Final = r"""
    SELECT type, name, sql FROM sqlite_schema
     WHERE name NOT LIKE 'sqlite\_%' ESCAPE '\'
       AND name NOT LIKE 'user\_search\_%' ESCAPE '\'
       AND name NOT LIKE '\_litestream\_%' ESCAPE '\'
"""


@contextlib.contextmanager
def opened(path: str, keyring: Keyring) -> Iterator[sqlite3.Connection]:
    """A connection that only reads: it writes nothing into the file, and no log back into it.

    Raises DatabaseError, NoDatabaseError.
    """
    if not Path(path).exists():
        raise NoDatabaseError(f"There is no database {path}")
    try:
        with contextlib.closing(connect_plain(f"{uri_of(path)}?mode=ro", keyring)) as connection:
            # A damaged text must not hide the rest.
            connection.text_factory = lambda text: text.decode("utf-8", "replace")
            yield connection
    except sqlite3.Error as error:
        if primary_code(error) is None:
            raise
        raise DatabaseError(f"Cannot open the database {path}: {error}") from error
    except UnicodeDecodeError as error:
        # SQLite's message has a part of what is damaged.
        raise DatabaseError(f"Cannot open the database {path}: its schema is damaged") from error


def is_damaged(error: BaseException) -> bool:
    """Whether SQLite says that what is in the file is no database, or no whole one."""
    return isinstance(error, UnicodeDecodeError) or primary_code(error) in (
        sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB
    )  # fmt: skip


def is_current(connection: sqlite3.Connection, path: str) -> bool:
    """Whether this version can work with its schema, and need not bring it up to date first.

    Raises WrongDatabaseError for anything else.
    """
    try:
        version = version_of(connection)
    except WrongSchemaError as error:
        raise WrongDatabaseError(f"Cannot examine the database {path}: {error}") from None
    if version == 0:
        raise WrongDatabaseError(f"Cannot examine the database {path}: there is nothing in it")
    return version >= latest()


def _find_bugs(_connection: Any) -> Iterator[str]:
    if sqlite.has_wal_reset_bug(sqlite.VERSION):
        yield f"SQLite {sqlite.VERSION}: the WAL-reset bug"


def _find_damage(connection: Any) -> Iterator[str]:
    try:
        for line in _integrity(connection, str(_MOST)):
            if not _is_about_search(line):
                yield line
    except sqlite3.DatabaseError as error:
        if not is_damaged(error):
            raise
        yield str(error)


def _find_damaged_search(connection: Any) -> Iterator[str]:
    try:
        # Otherwise the check uses what this connection remembers of the index, which others may have changed since.
        connection.execute("SELECT rowid FROM user_search WHERE user_search MATCH 'x' LIMIT 1").fetchall()
        yield from filter(_is_about_search, _integrity(connection, "user_search"))
    except sqlite3.DatabaseError as error:
        if not is_damaged(error):
            raise
        yield str(error)


def _integrity(connection: sqlite3.Connection, what: str) -> Iterator[str]:
    for (text,) in connection.execute(f"PRAGMA integrity_check({what})"):
        if text != "ok":
            yield from str(text).splitlines()


def _is_about_search(line: str) -> bool:
    """Whether the index contradicts itself, although its pages are whole: it can be made anew."""
    return "fts5" in line.lower()


def _find_lost_references(connection: Any) -> Iterator[str]:
    for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield f"row {row} of {table} refers to {parent}" if row is not None else f"{table} refers to {parent}"


def _compare(connection: sqlite3.Connection) -> tuple[dict[str, str], dict[str, str]]:
    """What is there, and what this version makes."""
    version = version_of(connection)
    if version > latest():
        raise UnexaminedError(NEWER.format(version))
    return _schema(connection), _wanted()


@cache
def _wanted() -> dict[str, str]:
    """The schema as this version makes it."""
    with contextlib.closing(connect_plain("file:?vfs=memdb", Keyring(None))) as fresh:
        migrate(fresh, lambda _version: None)
        return _schema(fresh)


def _schema(connection: sqlite3.Connection) -> dict[str, str]:
    """Type and name -> how it is made. How the search index is made depends on the version of SQLite."""
    options = "content = '', contentless_delete = 1, "
    return {
        f"{kind} {name}": " ".join((sql or "").split()).replace(options, "")
        for kind, name, sql in connection.execute(_SCHEMA)
    }


def _set_last_id(connection: sqlite3.Connection, table: str, last: int) -> None:
    connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
    connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, last))


def _find_ids(connection: sqlite3.Connection, table: str) -> tuple[int, int]:
    """The largest ID that exists, and the last one that was given."""
    largest, last = connection.execute(
        f"SELECT (SELECT coalesce(max(id), 0) FROM {table}),"
        " (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?)",
        (table,),
    ).fetchone()
    return largest, last


def _empty_search(connection: Any) -> None:
    """Deletes everything in the search index, however damaged that is."""
    (sql,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'user_search'").fetchone()
    if "content = ''" in sql:
        connection.execute("INSERT INTO user_search (user_search) VALUES ('delete-all')")
    else:
        connection.execute("DELETE FROM user_search")


DAMAGE: Final = Check(
    foundation.GROUP,
    "file",
    promise="SQLite finds no damage in the file",
    fault="faults in the file",
    find=_find_damage,
    advice="The file is damaged: stop the service, keep a copy of the file, and restore a backup. Then find out why: "
    "the disk, the file system, another program that writes into the file",
)
CHECKS: Final = (
    Check(
        foundation.GROUP,
        "engine",
        promise=f"SQLite {sqlite.VERSION} has no known bug that matters here",
        fault="known bugs of this SQLite",
        find=_find_bugs,
        advice="Install SQLite 3.51.3 or newer (pip install pysqlite3). Until then, only one process at a time can use "
        "the database",
        state=State.WARNING,
    ),
    DAMAGE,
    *foundation.checks(_compare, _find_lost_references, _find_ids, _set_last_id),
)
#: Behind all others: their repairs change what is searched.
SEARCH: Final = (
    Check(
        search.GROUP,
        "search structure",
        promise="SQLite finds no contradiction in the search index",
        fault="contradictions in the search index",
        find=_find_damaged_search,
        advice="--repair makes the index anew. Searches find too little until that is done",
        repair=lambda store: search.rebuild(store, _empty_search),
    ),
    *search.checks(find_wrong_rows, _empty_search),
)
