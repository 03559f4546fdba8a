"""Which failures of SQLite mean that the database cannot be used, by failures that SQLite itself has produced."""

import asyncio
import resource
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from postroom.storage.database import Database
from postroom.storage.faults import DatabaseError, TransactionError, is_unavailable
from postroom.storage.sqlite import sqlite3
from postroom.storage.writing import savepoint
from tests.support.damage import damage, limited_files

pytestmark = pytest.mark.sqlite


def connect(path: Path) -> sqlite3.Connection:
    """A connection that does not wait for locks."""
    return sqlite3.connect(path, timeout=0, isolation_level=None)


def locked_by_another(path: Path) -> None:
    """SQLITE_BUSY."""
    with closing(connect(path)) as other, closing(connect(path)) as connection:
        other.execute("BEGIN IMMEDIATE")
        connection.execute("BEGIN IMMEDIATE")


def locked_by_itself(path: Path) -> None:
    """SQLITE_LOCKED."""
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE a (b)")
        connection.executemany("INSERT INTO a VALUES (?)", [(1,), (2,)])
        cursor = connection.execute("SELECT b FROM a")
        cursor.fetchone()
        connection.execute("DROP TABLE a")


def without_room(path: Path) -> None:
    """SQLITE_FULL."""
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE a (b)")
        connection.execute("PRAGMA max_page_count = 2").fetchall()
        connection.execute("INSERT INTO a VALUES (zeroblob(100000))")


def on_a_disk_that_refuses(path: Path) -> None:
    """SQLITE_IOERR."""
    with closing(connect(path)) as connection, limited_files(4096):
        connection.execute("CREATE TABLE a AS SELECT zeroblob(100000)")


def only_readable(path: Path) -> None:
    """SQLITE_READONLY."""
    connect(path).close()
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        connection.execute("CREATE TABLE a (b)")


def in_no_folder(path: Path) -> None:
    """SQLITE_CANTOPEN."""
    with closing(connect(path / "gone" / "file")) as connection:
        connection.execute("SELECT 1")


def damaged(path: Path) -> None:
    """SQLITE_CORRUPT."""
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE a (b)")
    damage(path, "a")
    with closing(connect(path)) as connection:
        connection.execute("SELECT b FROM a").fetchall()


def something_else(path: Path) -> None:
    """SQLITE_NOTADB."""
    path.write_text("Dear Sir or Madam, " * 100)
    with closing(connect(path)) as connection:
        connection.execute("SELECT name FROM sqlite_schema")


UNAVAILABLE = [
    locked_by_another, locked_by_itself, without_room, on_a_disk_that_refuses, only_readable, in_no_folder, damaged,
    something_else,
]  # fmt: skip

#: Mistakes that only a change of the program mends.
FAULTS = [
    ("SELECT 1 FROM nowhere", ()),
    ("SELECT nothing", ()),
    ("SELECT SELECT", ()),
    ("SELECT ?", ()),
    pytest.param("SELECT ?", (object(),), id="an object"),
    ("SELECT ?", (2**70,)),
    ("SELECT json('{')", ()),
    ("COMMIT", ()),
    ("RELEASE nowhere", ()),
    ("SELECT zeroblob(2000000000)", ()),
    ("INSERT INTO temp.a VALUES (NULL)", ()),
]


@pytest.mark.parametrize("provoke", UNAVAILABLE, ids=lambda provoke: provoke.__name__)
def test_unavailable(tmp_path: Path, provoke: Callable[[Path], None]) -> None:
    """Locks, full disks, I/O errors, missing rights and damaged files are outside of the program."""
    with pytest.raises(sqlite3.DatabaseError) as caught:
        provoke(tmp_path / "file")
    assert provoke.__doc__ is not None
    assert caught.value.sqlite_errorname.startswith(provoke.__doc__.rstrip("."))
    assert is_unavailable(caught.value)


@pytest.mark.parametrize(("sql", "params"), FAULTS, ids=lambda value: str(value)[:40])
def test_faults(sql: str, params: tuple[object, ...]) -> None:
    """A wrong statement, wrong parameters and broken rules are not, whatever class their error is of."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TEMP TABLE a (b NOT NULL)")
        with pytest.raises((sqlite3.Error, OverflowError)) as caught:
            connection.execute(sql, params).fetchall()
    assert not is_unavailable(caught.value)


def test_other_errors_are_no_failure_of_the_database() -> None:
    """What does not come from SQLite is judged elsewhere; a commit that failed has been judged already."""
    assert is_unavailable(DatabaseError("no more room"))
    for error in (ValueError(), OSError(5, "Input/output error"), TransactionError(), sqlite3.OperationalError("x")):
        assert not is_unavailable(error)


@contextmanager
def full(connection: sqlite3.Connection) -> Iterator[None]:
    """No room for one more page."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()
    yield


def fill(connection: sqlite3.Connection) -> None:
    """Writes more than there is room for, in a savepoint."""
    with savepoint(connection), full(connection):
        connection.execute("INSERT INTO settings VALUES ('big', hex(zeroblob(5000000)))")


async def test_a_full_disk_keeps_its_name(file_database: Database) -> None:
    """A write that finds no room, in whatever savepoint, tells so to everyone who shares the transaction."""
    add = file_database.write(lambda c: c.execute("INSERT INTO settings VALUES ('a', 'b')").close())
    results = await asyncio.gather(add, file_database.write(fill), return_exceptions=True)
    assert isinstance(results[1], Exception)
    assert "full" in str(results[1])
    assert all(is_unavailable(result) for result in results if isinstance(result, Exception))
    stored = await file_database.fetch_value("SELECT count(*) FROM settings WHERE name = 'a'")
    assert stored == (results[0] is None)


async def test_a_disk_that_refuses_keeps_its_name(file_database: Database) -> None:
    """An I/O error while a transaction is written is told as what it is, and nothing of it is there."""

    def write_much(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA cache_spill = 1").fetchall()
        connection.execute("PRAGMA cache_size = 1").fetchall()
        connection.execute("INSERT INTO settings VALUES ('big', hex(zeroblob(2500000)))")

    with limited_files(1_000_000), pytest.raises((DatabaseError, sqlite3.OperationalError)) as caught:
        await file_database.write(write_much)
    assert is_unavailable(caught.value)
    assert await file_database.fetch_value("SELECT count(*) FROM settings WHERE name = 'big'") == 0
    await file_database.write(lambda c: c.execute("INSERT INTO settings VALUES ('a', 'b')").close())


async def test_a_lock_of_another_process_is_told_as_one(tmp_path: Path) -> None:
    """A transaction that cannot begin because somebody else is writing is a DatabaseError."""
    path = tmp_path / "file"
    database = await Database.open(str(path))
    await database.write(lambda c: c.execute("PRAGMA busy_timeout = 50").close())
    with closing(connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseError, match="locked"):
            await database.write(lambda c: None)
    await database.write(lambda c: None)
    await database.close()


@pytest.mark.parametrize("sql", ["COMMIT", "ROLLBACK", "DROP TABLE auth_generation"])
async def test_a_fault_at_the_commit_is_no_failure_of_the_database(file_database: Database, sql: str) -> None:
    """A function that spoils the transaction fails everyone who shares it with an error that keeps its reason."""
    harmless = file_database.write(lambda c: c.execute("INSERT INTO settings VALUES ('a', 'b')").close())
    spoiling = file_database.write(lambda c: c.execute(sql).close())
    for result in await asyncio.gather(harmless, spoiling, return_exceptions=True):
        assert isinstance(result, TransactionError)
        assert isinstance(result.__cause__, sqlite3.OperationalError)
        assert not is_unavailable(result)


def test_the_limit_of_files_is_taken_back() -> None:
    """What the tests above do to this process ends with them."""
    with limited_files(1), suppress(OSError):
        pass
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
