"""Transactions: whole or not at all, one at a time, on disk when acknowledged."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from postroom.storage.database import Database
from postroom.storage.faults import DatabaseError, NoDatabaseError, TransactionError
from postroom.storage.migrations import latest
from postroom.storage.sqlite import sqlite3

pytestmark = pytest.mark.sqlite


def add_pair(connection: sqlite3.Connection, name: str) -> str:
    """Two rows that belong together."""
    connection.execute("INSERT INTO settings VALUES (?, 'first')", (f"{name}-1",))
    connection.execute("INSERT INTO settings VALUES (?, 'second')", (f"{name}-2",))
    return name


def fail_between(connection: sqlite3.Connection, name: str) -> None:
    """Half of a pair, then a fault."""
    connection.execute("INSERT INTO settings VALUES (?, 'first')", (f"{name}-1",))
    raise ZeroDivisionError


async def names(database: Database) -> set[str]:
    """Names of all settings."""
    return {row[0] for row in await database.fetch_all("SELECT name FROM settings")}


async def test_write_returns_the_result_and_stores(database: Database) -> None:
    """A write gives back what its function returned, and its rows can be read."""
    assert await database.write(add_pair, "a") == "a"
    assert await names(database) == {"a-1", "a-2"}


async def test_failure_rolls_back_only_its_own_transaction(file_database: Database) -> None:
    """Of transactions that share a commit, one that fails takes back its own rows and nobody else's."""
    results = await asyncio.gather(
        *(file_database.write(fail_between if number % 3 == 0 else add_pair, str(number)) for number in range(60)),
        return_exceptions=True,
    )
    failed = {number for number, result in enumerate(results) if isinstance(result, ZeroDivisionError)}
    assert failed == set(range(0, 60, 3))
    stored = await names(file_database)
    assert stored == {f"{number}-{half}" for number in range(60) if number % 3 for half in (1, 2)}


async def test_thousands_of_cancellations_leave_no_half_transaction(file_database: Database) -> None:
    """Whenever a caller is cancelled, both rows of its pair are there or neither; those not cancelled are all there."""
    chance = random.Random(7)  # noqa: S311 - the same cancellations in every run
    done: list[str] = []

    async def write(name: str) -> None:
        done.append(await file_database.write(add_pair, name))

    for turn in range(40):
        tasks = [asyncio.create_task(write(f"{turn}-{number}")) for number in range(75)]
        for task in chance.sample(tasks, 60):
            await asyncio.sleep(0 if chance.random() < 0.7 else 0.0005)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await file_database.write(add_pair, "last")  # everything before it has been decided
    stored = await names(file_database)
    pairs = {name.rpartition("-")[0] for name in stored}
    assert stored == {f"{pair}-{half}" for pair in pairs for half in (1, 2)}
    assert set(done) <= pairs
    assert len(done) < 3000, "no cancellation came in time to be one"


async def test_one_task_never_sees_the_open_transaction_of_another(file_database: Database) -> None:
    """A count inside one transaction never holds half of another's pair, however many write at the same time."""

    def add_and_count(connection: sqlite3.Connection, name: str) -> int:
        before: int = connection.execute("SELECT count(*) FROM settings").fetchone()[0]
        add_pair(connection, name)
        return before

    async def read() -> int:
        return int(await file_database.fetch_value("SELECT count(*) FROM settings"))

    writes = [file_database.write(add_and_count, str(number)) for number in range(200)]
    counts = await asyncio.gather(*writes, *(read() for _ in range(200)))
    assert sorted(counts[:200]) == list(range(0, 400, 2))
    assert all(count % 2 == 0 for count in counts)


async def test_readers_cannot_write(database: Database) -> None:
    """A statement that would change something is refused where only reads belong."""
    with pytest.raises(sqlite3.OperationalError):
        await database.fetch_all("DELETE FROM settings")


async def test_connection_settings(file_database: Database) -> None:
    """Foreign keys are checked, commits are flushed to the disk, and the journal is a write-ahead log."""

    def pragmas(connection: sqlite3.Connection) -> list[object]:
        names = ("foreign_keys", "synchronous", "journal_mode")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert await file_database.write(pragmas) == [1, 2, "wal"]


async def test_writes_accepted_before_close_are_stored(tmp_path: Path) -> None:
    """Closing lets writes that wait finish; later ones are refused."""
    path = str(tmp_path / "a.sqlite3")
    database = await Database.open(path)
    tasks = [asyncio.create_task(database.write(add_pair, str(number))) for number in range(20)]
    await asyncio.sleep(0)
    await database.close()
    await asyncio.gather(*tasks)
    with pytest.raises(DatabaseError):
        await database.write(add_pair, "late")
    again = await Database.open(path)
    assert len(await names(again)) == 40
    await again.close()


async def test_failed_commit_fails_everyone_who_shares_it(file_database: Database) -> None:
    """When the commit cannot happen, nobody is told that it did, and later writes work again."""

    def break_the_transaction(connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK")

    results = await asyncio.gather(
        file_database.write(add_pair, "a"), file_database.write(break_the_transaction), return_exceptions=True
    )
    assert all(isinstance(result, TransactionError) for result in results)
    await file_database.write(add_pair, "b")
    assert await names(file_database) == {"b-1", "b-2"}


def test_acknowledged_write_survives_kill(tmp_path: Path) -> None:
    """A process killed without warning right after an acknowledgement has left the row on disk."""
    path = tmp_path / "killed.sqlite3"
    program = textwrap.dedent(
        """
        import asyncio, sys
        from postroom.storage.database import Database
        async def main():
            database = await Database.open(sys.argv[1])
            for number in range(10_000):
                await database.write(
                    lambda c: c.execute("INSERT INTO settings VALUES (?, '')", (str(number),)).close())
                print(number, flush=True)
        asyncio.run(main())
        """
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 50:
                os.kill(process.pid, signal.SIGKILL)
                break
        acknowledged = 50
        process.wait()
    connection = sqlite3.connect(path)
    stored = {int(row[0]) for row in connection.execute("SELECT name FROM settings")}
    connection.close()
    assert set(range(acknowledged + 1)) <= stored


async def test_newer_database_is_refused(tmp_path: Path) -> None:
    """A file of a later schema is left alone, with a message that says so."""
    path = tmp_path / "new.sqlite3"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 9999")
    connection.close()
    with pytest.raises(DatabaseError, match="newer version"):
        await Database.open(str(path))


async def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    """A file of something else is left as it is."""
    path = tmp_path / "letter.txt"
    path.write_text("Dear Sir or Madam, " * 100)
    with pytest.raises(DatabaseError, match="not a database"):
        await Database.open(str(path))
    assert path.read_text().startswith("Dear Sir")


async def test_a_file_that_is_not_to_be_made_is_refused(tmp_path: Path) -> None:
    """Without `create` a missing file, or a database in memory, is an error, and no file appears."""
    for path in (str(tmp_path / "typo" / "postroom.sqlite3"), ":memory:"):
        with pytest.raises(NoDatabaseError, match="There is no database"):
            await Database.open(path, create=False)
    assert await asyncio.to_thread(lambda: list(tmp_path.iterdir())) == []


async def test_unwritable_folder_is_refused(tmp_path: Path) -> None:
    """Where no file can be made, the message names the path."""
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseError, match="Cannot open the database"):
        await Database.open(str(tmp_path / "file" / "postroom.sqlite3"))


async def test_file_is_its_owners_alone(tmp_path: Path) -> None:
    """Nobody else may read the hashes in a new file."""
    database = await Database.open(str(tmp_path / "a.sqlite3"))
    await database.write(add_pair, "a")
    modes = {entry.name: entry.stat().st_mode & 0o777 for entry in os.scandir(tmp_path)}
    await database.close()
    assert set(modes.values()) == {0o600}, modes


async def test_databases_in_memory_are_apart() -> None:
    """Two databases in memory share nothing."""
    one, other = await Database.open(":memory:"), await Database.open(":memory:")
    await one.write(add_pair, "a")
    assert await names(other) == set()
    await one.close()
    await other.close()


def contents(connection: sqlite3.Connection) -> list[object]:
    """The version, the schema and all rows, but for secrets that are made up."""
    schema = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name").fetchall()
    tables = [name for kind, name, _, sql in schema if kind == "table" and "VIRTUAL" not in sql and name != "settings"]
    rows = [connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables if name != "sealing"]
    return [connection.execute("PRAGMA user_version").fetchone(), schema, rows]


async def test_a_copied_database_is_like_a_migrated_one(tmp_path: Path) -> None:
    """The databases in memory that most tests begin with are what the migrations make of a new file."""
    found = []
    for path in (str(tmp_path / "a.sqlite3"), ":memory:", ":memory:"):
        database = await Database.open(path)
        found.append(await database.read(contents))
        await database.close()
    assert found[0] == found[1] == found[2]


async def test_migrations_are_remembered(tmp_path: Path) -> None:
    """Opening a database again changes nothing in it."""
    path = str(tmp_path / "a.sqlite3")
    for _ in range(2):
        database = await Database.open(path)
        version = await database.fetch_value("PRAGMA user_version")
        await database.close()
        assert version == latest()


def count_up(connection: sqlite3.Connection) -> None:
    """Something that concerns who may do what."""
    connection.execute("UPDATE auth_generation SET value = value + 1")


async def test_a_late_answer_never_sets_the_generation_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read of the generation that began before a commit, and answers after it, changes nothing."""
    read, go_on, real = asyncio.Event(), asyncio.Event(), database._look_ups.run

    async def late(function: Callable[..., object], args: tuple[object, ...]) -> object:
        value = await real(function, args)
        read.set()
        await go_on.wait()
        return value

    monkeypatch.setattr(database._look_ups, "run", late)
    watch = asyncio.create_task(database.check())
    await read.wait()
    await database.write(count_up)
    after = database.generation.value
    go_on.set()
    await watch
    assert database.generation.value == after


async def test_savepoints_only_after_a_failure(database: Database) -> None:
    """Within a savepoint each statement takes longer: a write that is alone never has one, and others not at first."""
    asked: list[str] = []

    def insert(connection: sqlite3.Connection, name: str) -> None:
        connection.set_trace_callback(asked.append)
        connection.execute("INSERT INTO settings VALUES (?, 'x')", (name,))

    await database.write(insert, "alone")
    with pytest.raises(sqlite3.IntegrityError):
        await database.write(insert, "alone")
    await asyncio.gather(*(database.write(insert, f"{number}") for number in range(3)))
    assert not any("SAVEPOINT" in sql for sql in asked)
    results = await asyncio.gather(
        *(database.write(insert, name) for name in ("3", "alone", "4", "5")), return_exceptions=True
    )
    assert [type(result) for result in results] == [type(None), sqlite3.IntegrityError, type(None), type(None)]
    assert sum(sql == "SAVEPOINT job" for sql in asked) == 4
    assert await database.fetch_value("SELECT count(*) FROM settings WHERE value = 'x'") == 7


async def test_what_must_not_run_twice(database: Database) -> None:
    """When a write fails, those that share its transaction run once more, but not one that was asked for once."""
    called: list[str] = []

    def note(connection: sqlite3.Connection, name: str) -> None:
        called.append(name)
        add_pair(connection, name)

    await asyncio.gather(database.write(note, "twice"), database.write(fail_between, "fails"), return_exceptions=True)
    assert called == ["twice", "twice"]
    called.clear()
    await asyncio.gather(
        database.write_once(note, "once"), database.write(fail_between, "fails"), return_exceptions=True
    )
    assert called == ["once"]
    assert await names(database) == {"twice-1", "twice-2", "once-1", "once-2"}


async def test_a_series_of_failures_is_run_once(database: Database) -> None:
    """After a failure, the next transactions have savepoints at once: failing writes cannot double everybody's work."""
    calls = 0

    def fail(connection: sqlite3.Connection) -> None:
        nonlocal calls
        calls += 1
        fail_between(connection, "fails")

    for _ in range(20):
        await asyncio.gather(*(database.write(fail) for _ in range(2)), return_exceptions=True)
    assert calls == 41  # the first of the first transaction twice


async def test_statements_stay_prepared(database: Database) -> None:
    """Statements that a new database has not run before are prepared once, not at each turn."""
    prepared: list[int] = []

    def note(action: int, *_: object) -> int:
        prepared.append(action)
        return sqlite3.SQLITE_OK

    def in_turns(connection: sqlite3.Connection) -> list[int]:
        connection.set_authorizer(note)
        counts = []
        for _ in range(3):
            for name in ("one", "two", "three"):
                connection.execute(f"SELECT value AS {name} FROM settings").fetchall()
            counts.append(len(prepared))
        connection.set_authorizer(None)
        return counts

    first, *later = await database.write(in_turns)
    assert later == [first, first]
