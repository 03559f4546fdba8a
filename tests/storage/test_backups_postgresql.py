"""Backups of PostgreSQL databases: the same files as those of SQLite, restored into either engine."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from postroom.storage import auth
from postroom.storage.backups import folder, taking
from postroom.storage.backups.manifest import BackupError, DamagedBackupError
from postroom.storage.database import Database
from postroom.storage.faults import DatabaseError, WrongDatabaseError
from postroom.storage.moving.mover import move
from postroom.storage.moving.tables import TABLES
from tests.support.backups import back_up, bring_back, content, names, quiet, verified
from tests.support.both_engines import make_sqlite, open_postgresql, open_sqlite, run
from tests.support.postgresql import PASSWORD, PostgreSQL

pytestmark = pytest.mark.postgresql

#: What a restore changes, or adds to.
_CHANGED = ("audit", "settings", "tasks")


@pytest.fixture
def keys(tmp_path: Path) -> str:
    """The key file of all databases of a test."""
    return str(tmp_path / "keys")


@pytest.fixture
def new(postgresql_server: PostgreSQL) -> Callable[[], str]:
    """Makes an empty database on the server."""
    return lambda: postgresql_server.url(postgresql_server.make_database())


@pytest.fixture
async def filled(tmp_path: Path, keys: str, new: Callable[[], str]) -> str:
    """A database on the server, with rows in every table that the first version had."""
    await make_sqlite(tmp_path / "source.sqlite3", filled=True, key_file=keys)
    url = new()
    await asyncio.to_thread(move, str(tmp_path / "source.sqlite3"), url, keys, quiet)
    return url


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """An empty folder."""
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups"


def tables_of(database: Path) -> dict[str, list[Any]]:
    """Every row that a move copies, and a restore does not change."""
    return {name: rows for name, rows in content(database).items() if name in TABLES and name not in _CHANGED}


async def test_there_and_back(filled: str, target: Path, keys: str, new: Callable[[], str], tmp_path: Path) -> None:
    """All that is in the database is in the backup, and after a restore in a new database, and in an SQLite file."""
    taken = back_up(filled, target, key_file=keys)
    assert taken.manifest.engine.startswith("PostgreSQL ")
    assert taken.manifest.database == folder.name_of(filled)
    assert (taken.manifest.users, verified(taken.path)) == (7, taken.manifest)
    assert tables_of(taken.path) == tables_of(tmp_path / "source.sqlite3")
    url = new()
    assert bring_back(taken.path, url, key_file=keys).kept is None
    assert tables_of(back_up(url, tmp_path / "again", key_file=keys).path) == tables_of(taken.path)
    bring_back(taken.path, tmp_path / "file.sqlite3", key_file=keys)
    assert tables_of(tmp_path / "file.sqlite3") == tables_of(taken.path)
    token_keys = []
    for database in (filled, url, str(tmp_path / "file.sqlite3")):
        opened = await Database.open(database, key_file=keys)
        token_keys.append(await opened.write(auth.ensure_token_key))
        await opened.close()
    assert len(set(token_keys)) == 3
    assert names(target) == [taken.path.name, f"{taken.path.name}.json"]


def test_others_go_on_writing(filled: str, target: Path, keys: str) -> None:
    """Nobody waits for a backup, and what they commit meanwhile is not in it."""
    written = threading.Event()
    with open_postgresql(filled) as connection:

        def report(_what: str, _done: int, _total: int) -> None:
            if not written.is_set():
                run(connection, "SET statement_timeout = '5s'")
                run(connection, "UPDATE domains SET title = 'meanwhile'")
                run(connection, "INSERT INTO orgs (name, key) VALUES ('meanwhile', 'meanwhile')")
                written.set()

        taken = taking.take(taking.Order(filled, target, keys), report)
    assert written.is_set()
    assert "meanwhile" not in str(content(taken.path))


def test_only_into_an_empty_database(filled: str, target: Path, keys: str) -> None:
    """What is there is never overwritten, and what is damaged gets nowhere."""
    taken = back_up(filled, target, key_file=keys)
    with pytest.raises(WrongDatabaseError, match="is not empty"):
        bring_back(taken.path, filled, key_file=keys)
    with pytest.raises(BackupError, match="POSTROOM_KEY_FILE"):
        bring_back(taken.path, filled)
    taken.path.write_bytes(taken.path.read_bytes()[:-1])
    with pytest.raises(DamagedBackupError, match="is cut off"):
        bring_back(taken.path, filled, key_file=keys)


async def test_an_older_version_and_a_lost_key(
    filled: str, target: Path, keys: str, new: Callable[[], str], tmp_path: Path
) -> None:
    """A backup of an older schema is brought up to date on the way; without the key all but the secrets comes back."""
    schema_1 = Path(__file__).parents[1] / "data" / "schema_0001.sql"
    with open_sqlite(tmp_path / "old.sqlite3") as connection:
        connection.executescript(schema_1.read_text("utf-8"))
    old, url = back_up(tmp_path / "old.sqlite3", target / "old"), new()
    bring_back(old.path, url, key_file=keys)
    taken, other = back_up(filled, target, key_file=keys), str(tmp_path / "other-keys")
    with pytest.raises(BackupError, match="is missing"):
        bring_back(taken.path, new(), key_file=other)
    url = new()
    bring_back(taken.path, url, key_file=other, with_secrets=False)
    opened = await Database.open(url, key_file=other)
    await opened.write(auth.ensure_token_key)
    await opened.close()


def test_a_server_that_is_away(target: Path, keys: str) -> None:
    """The message has no password."""
    with pytest.raises(DatabaseError) as caught:
        back_up(f"postgresql://x:{PASSWORD}@127.0.0.1:9/y", target, key_file=keys)
    assert PASSWORD not in str(caught.value)
    assert names(target) == []
