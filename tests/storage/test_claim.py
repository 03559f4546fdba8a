"""One process at a time, where SQLite can damage a database that two use."""

import multiprocessing
from pathlib import Path

import pytest

from postroom.storage import sqlite
from postroom.storage.database import Database
from postroom.storage.faults import DatabaseError

pytestmark = pytest.mark.sqlite


@pytest.mark.parametrize(
    ("version", "bug"),
    [
        ("3.6.23", False), ("3.7.0", True), ("3.40.1", True), ("3.44.5", True), ("3.44.6", False), ("3.45.0", True),
        ("3.46.1", True), ("3.50.6", True), ("3.50.7", False), ("3.51.2", True), ("3.51.3", False), ("3.53.4", False),
        ("4.0.0", False),
    ],
)  # fmt: skip
def test_versions(version: str, bug: bool) -> None:
    """The versions that sqlite.org names, and the branches to which the fix was carried back."""
    assert sqlite.has_wal_reset_bug(version) == bug


def test_a_current_sqlite_is_used() -> None:
    """The tests run on the SQLite of the package, not on that of the system."""
    assert not sqlite.has_wal_reset_bug()


def open_elsewhere(path: str, version: str, said: "multiprocessing.Queue[str]") -> None:
    """What a command beside the service would do."""
    import asyncio

    sqlite.VERSION = version

    async def run() -> None:
        database = await Database.open(path, create=False)
        await database.close()

    try:
        asyncio.run(run())
    except DatabaseError as error:
        said.put(str(error))
    else:
        said.put("opened")


async def ask(path: Path, version: str) -> str:
    """What another process with this version of SQLite says when it opens the database."""
    context = multiprocessing.get_context("spawn")
    said: multiprocessing.Queue[str] = context.Queue()
    process = context.Process(target=open_elsewhere, args=(str(path), version, said))
    process.start()
    try:
        return said.get(timeout=60)
    finally:
        process.join()


async def test_a_second_process_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the bug another process is told what helps, until the first has ended. In memory nobody is in the way."""
    monkeypatch.setattr(sqlite, "VERSION", "3.40.1")
    path = tmp_path / "a.sqlite3"
    database = await Database.open(str(path))
    refused = await ask(path, "3.40.1")
    await database.close()
    assert "Another process uses the database" in refused
    assert "pip install pysqlite3" in refused
    assert (tmp_path / "a.sqlite3.lock").stat().st_mode & 0o777 == 0o600
    assert await ask(path, "3.40.1") == "opened"
    for _ in range(2):
        await (await Database.open(":memory:")).close()


async def test_a_claim_goes_with_a_start_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is no database leaves no claim behind."""
    monkeypatch.setattr(sqlite, "VERSION", "3.40.1")
    path = tmp_path / "a.sqlite3"
    path.write_text("Dear Sir or Madam, " * 100)
    for _ in range(2):
        with pytest.raises(DatabaseError, match="not a database"):
            await Database.open(str(path))


async def test_two_processes_share_a_database(tmp_path: Path) -> None:
    """Without the bug there is no claim, and no lock file."""
    path = tmp_path / "a.sqlite3"
    database = await Database.open(str(path))
    try:
        assert await ask(path, sqlite.VERSION) == "opened"
    finally:
        await database.close()
    assert not (tmp_path / "a.sqlite3.lock").exists()
