"""Restoring backups into SQLite files. tests/storage/test_backups.py has how they are taken."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from postroom.app.cli import backup_views
from postroom.storage import auth, tasks
from postroom.storage.backups.manifest import BackupError, DamagedBackupError
from postroom.storage.backups.taking import Taken
from postroom.storage.connections import connect
from postroom.storage.database import Database
from postroom.storage.faults import DatabaseError, LostDatabaseError
from postroom.storage.migrations import latest
from postroom.storage.sqlite import sqlite3
from tests.support.backups import back_up, bring_back, content, names
from tests.support.both_engines import make_sqlite, open_sqlite
from tests.support.damage import damage, limited_files

#: What a restore changes: the key for tokens, tasks that had not ended, the last IDs, and the record of changes.
_CHANGED = ("settings", "tasks", "sqlite_sequence", "audit")
_SCHEMA_1 = Path(__file__).parents[1] / "data" / "schema_0001.sql"


@pytest.fixture
async def database(tmp_path: Path) -> Path:
    """A database with rows in every table that the first version had, in a folder of its own."""
    (tmp_path / "live").mkdir()
    path = tmp_path / "live" / "postroom.sqlite3"
    await make_sqlite(path, filled=True)
    for copy in path.parent.glob("*.backup"):
        copy.unlink()
    return path


@pytest.fixture
def taken(database: Path, tmp_path: Path) -> Taken:
    """A backup of it. Afterwards there is a further user."""
    taken = back_up(database, tmp_path / "backup")
    with open_sqlite(database) as connection:
        connection.execute("INSERT INTO orgs (name, key) VALUES ('later', 'later')")
    return taken


def restored(database: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row that comes back as it was."""
    return {table: rows for table, rows in content(database).items() if table not in _CHANGED}


def kept_of(database: Path) -> Path:
    """Where the database from before is."""
    (found,) = database.parent.glob("*.before-*")
    return found


async def opens(database: Path) -> None:
    """A service can open it."""
    opened = await Database.open(str(database))
    await opened.write(auth.ensure_token_key)
    await opened.close()


async def test_all_comes_back(database: Path, taken: Taken) -> None:
    """The database is as at the time of the backup; the one from before is beside it, and nothing else."""
    before = content(database)
    result = bring_back(taken.path, database)
    assert restored(database) == {table: rows for table, rows in content(taken.path).items() if table not in _CHANGED}
    assert result.kept == kept_of(database)
    assert content(result.kept) == before
    assert names(database.parent) == sorted([database.name, f"{database.name}.key", result.kept.name])
    assert (result.schema, result.users, result.is_older) == (latest(), 7, False)
    await opens(database)


async def test_going_back(database: Path, taken: Taken) -> None:
    """The database from before can be restored in turn."""
    before = restored(database)
    bring_back(bring_back(taken.path, database).kept or Path(), database, checked=False)
    assert restored(database) == before
    await opens(database)


def test_where_nothing_is(database: Path, taken: Taken) -> None:
    """A lost database is made anew."""
    database.unlink()
    assert bring_back(taken.path, database).kept is None
    assert restored(database)["users"] == content(taken.path)["users"]
    assert names(database.parent) == [database.name, f"{database.name}.key"]
    assert database.stat().st_mode & 0o777 == 0o600


async def test_no_login_of_then_or_later_is_valid(database: Path, taken: Taken) -> None:
    """The key for tokens is another one: a login that was ended after the backup does not come back."""
    opened = await Database.open(str(database))
    old = await opened.write(auth.ensure_token_key)
    await opened.close()
    again = back_up(database, database.parent / "again")
    for backup in (taken, again):
        bring_back(backup.path, database)
        opened = await Database.open(str(database))
        assert await opened.write(auth.ensure_token_key) != old
        await opened.close()


def test_logins_of_then_are_gone(database: Path) -> None:
    """The list of logins has none that nobody can use any more."""
    with open_sqlite(database) as connection:
        connection.execute("INSERT INTO sessions VALUES (?, 0, 0, 1, 1, 1, 'x', 'y')", ("0" * 32,))
    bring_back(back_up(database, database.parent / "backup").path, database)
    assert content(database)["sessions"] == []


_TOKENS = ("same", "revoked", "narrowed", "limited", "shorter")


def _make_tokens(database: Path) -> Path:
    """Tokens of then, of which all but one were changed after the backup."""
    with open_sqlite(database) as connection:
        for name in _TOKENS:
            connection.execute(
                """
                INSERT INTO api_tokens (user_id, name, hash, scoped, read_only, networks, created)
                VALUES (0, ?, ?, 1, 0, '[]', 1)
                """,
                (name, name.ljust(64, "0")),
            )
        connection.execute("INSERT INTO api_token_permissions (token_id, permission) SELECT id, 'x' FROM api_tokens")
    taken = back_up(database, database.parent / "backup")
    with open_sqlite(database) as connection:
        connection.execute("DELETE FROM api_tokens WHERE name = 'revoked'")
        connection.execute("UPDATE api_tokens SET read_only = 1 WHERE name = 'narrowed'")
        connection.execute(
            "DELETE FROM api_token_permissions WHERE token_id = (SELECT id FROM api_tokens WHERE name = 'limited')"
        )
        connection.execute("UPDATE api_tokens SET expires = 7 WHERE name = 'shorter'")
        connection.execute("UPDATE api_tokens SET last_used = 7")
    return taken.path


@pytest.mark.parametrize(
    ("damaged", "keep", "left"),
    [(False, False, {"same"}), (False, True, {*_TOKENS}), (True, False, set()), (True, True, {*_TOKENS})],
)
def test_tokens_for_programs(database: Path, damaged: bool, keep: bool, left: set[str]) -> None:
    """What was revoked or narrowed after the backup is not valid again, nor what nobody can know of."""
    backup = _make_tokens(database)
    if damaged:
        database.write_bytes(b"x" * 10_000)
    result = bring_back(backup, database, keep_tokens=keep)
    with open_sqlite(database) as connection:
        assert {name for (name,) in connection.execute("SELECT name FROM api_tokens")} == left
        (changes,) = connection.execute("SELECT changes FROM audit ORDER BY id DESC LIMIT 1").fetchone()
    revoked = len(_TOKENS) - len(left)
    assert result.settled.tokens == revoked
    assert json.loads(changes).get("revokedTokens", [None, 0]) == [None, revoked]
    assert any("--keep-tokens" in note for note in backup_views._notes(result)) == (revoked > 0)


async def test_tasks_do_not_go_on(database: Path) -> None:
    """A task that waited or ran at the time of the backup is marked as interrupted."""
    with open_sqlite(database) as connection:
        connection.execute("UPDATE tasks SET state = 3")
        for state in (tasks.QUEUED, 1, tasks.RUNNING, tasks.COMPLETED):
            connection.execute(
                "INSERT INTO tasks (command, state, created, updated, params, pid) VALUES ('x', ?, '', '', '{}', 1)",
                (state,),
            )
    taken = back_up(database, database.parent / "backup")
    assert bring_back(taken.path, database).settled.tasks == 3
    with open_sqlite(database) as connection:
        rows = connection.execute("SELECT state, message FROM tasks WHERE command = 'x' ORDER BY id").fetchall()
    assert rows == [(tasks.ERROR, "Interrupted: the database was restored from a backup")] * 3 + [(3, "")]


async def test_wipes_that_were_requested_are_told(database: Path) -> None:
    """A wipe of then is pending again; somebody has to know."""
    with open_sqlite(database) as connection:
        connection.execute("UPDATE devices SET wipe_status = 2")
        (devices,) = connection.execute("SELECT count(*) FROM devices").fetchone()
    assert devices
    assert bring_back(back_up(database, database.parent / "backup").path, database).settled.wipes == devices


async def test_ids_are_not_given_again(database: Path, taken: Taken) -> None:
    """IDs go on behind those that were given after the backup, also in tables that had none then."""
    with open_sqlite(database) as connection:
        connection.execute("DELETE FROM orgs WHERE key = 'later'")
        later = connection.execute("SELECT name, seq FROM sqlite_sequence ORDER BY name").fetchall()
    with open_sqlite(taken.path) as connection:
        connection.execute("DELETE FROM sqlite_sequence WHERE name <> 'users'")
    # Of the backup itself nothing else was changed.
    assert bring_back(taken.path.rename(taken.path.with_name("changed")), database, checked=False).ids_kept
    with open_sqlite(database) as connection:
        assert connection.execute("SELECT name, seq FROM sqlite_sequence ORDER BY name").fetchall() == later
    await opens(database)


async def test_a_link_stays_one(database: Path, taken: Taken, tmp_path: Path) -> None:
    """The file that a link leads to is replaced."""
    link = tmp_path / "link.sqlite3"
    link.symlink_to(database)
    bring_back(taken.path, link, key_file=f"{database}.key")
    assert link.is_symlink()
    assert kept_of(database).exists()
    assert restored(database)["users"]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4096])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[50_000] ^= 1
    path.write_bytes(bytes(content))


def _foreign(path: Path) -> None:
    path.unlink()
    with open_sqlite(path) as connection:
        connection.execute("CREATE TABLE x (y)")
        connection.execute("PRAGMA user_version = 3")


def _newer(path: Path) -> None:
    with open_sqlite(path) as connection:
        connection.execute("UPDATE compatibility SET oldest_schema = 9999")
        connection.execute("PRAGMA user_version = 9999")


@pytest.mark.parametrize(
    ("spoil", "checked", "error", "said"),
    [
        (_cut, True, DamagedBackupError, "is cut off"),
        (_cut, False, DamagedBackupError, "is cut off"),
        (_flip, True, DamagedBackupError, "was changed or damaged"),
        (lambda path: path.unlink(), True, BackupError, "There is no backup"),
        (lambda path: path.with_name("backup.json").unlink(), True, BackupError, "has no manifest"),
        (lambda path: _without_manifest(path, _cut), False, DamagedBackupError, "is damaged: "),
        (
            lambda path: _without_manifest(path, lambda path: damage(path, "users")),
            False,
            DamagedBackupError,
            "damaged",
        ),
        (lambda path: _without_manifest(path, lambda path: path.write_bytes(b"")), False, DamagedBackupError, "is no"),
        (lambda path: _without_manifest(path, lambda path: path.write_text("x" * 99)), False, DamagedBackupError, "no"),
        (lambda path: _without_manifest(path, _foreign), False, BackupError, "a database of something else"),
        (lambda path: _without_manifest(path, _newer), False, BackupError, "a newer version of postroom"),
    ],
)
def test_files_that_are_refused(
    database: Path, taken: Taken, spoil: object, checked: bool, error: type[Exception], said: str
) -> None:
    """What is cut off, damaged, of another program or of a newer version changes nothing."""
    before = content(database)
    spoil(taken.path)  # type: ignore[operator]
    with pytest.raises(error, match=said):
        bring_back(taken.path, database, checked=checked)
    assert content(database) == before
    assert names(database.parent) == [database.name, f"{database.name}.key"]


def _without_manifest(path: Path, spoil: object) -> None:
    path.with_name("backup.json").unlink()
    spoil(path)  # type: ignore[operator]


async def test_an_older_version(tmp_path: Path) -> None:
    """A backup of schema 1 is restored as it is, and the next start brings it up to date."""
    with contextlib.closing(sqlite3.connect(tmp_path / "old.sqlite3")) as connection:
        connection.executescript(_SCHEMA_1.read_text("utf-8"))
    taken = back_up(tmp_path / "old.sqlite3", tmp_path / "backup")
    assert taken.manifest.schema == 1
    result = bring_back(taken.path, tmp_path / "new.sqlite3")
    assert (result.schema, result.is_older) == (1, True)
    await opens(tmp_path / "new.sqlite3")
    with open_sqlite(tmp_path / "new.sqlite3") as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (latest(),)


_USES = """
import sys
from postroom.storage.sqlite import sqlite3
connection = sqlite3.connect(sys.argv[1], timeout=0.1)
connection.execute("SELECT count(*) FROM users").fetchall()
print("open", flush=True)
sys.stdin.read()
"""


def test_a_database_in_use(database: Path, taken: Taken) -> None:
    """While any process has it open, nothing is done, also if it does not do anything at the moment."""
    before = content(database)
    with subprocess.Popen(
        [sys.executable, "-c", _USES, database], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        with pytest.raises(DatabaseError, match="Something is using the database"):
            bring_back(taken.path, database)
        process.communicate()
    assert content(database) == before
    bring_back(taken.path, database)


def test_nobody_can_open_it_meanwhile(database: Path, taken: Taken) -> None:
    """A service that starts during a restore does not get the old file."""
    from postroom.storage.backups import restoring

    tried = []

    def report(what: str, _done: int, _total: int) -> None:
        if what == "reading":
            tried.append(subprocess.run([sys.executable, "-c", _USES, database], capture_output=True, check=False))

    restoring.restore(restoring.Order(taken.path, str(database)), report)
    assert tried
    assert all(b"database is locked" in each.stderr for each in tried)


async def test_a_start_that_waits_for_a_restore(database: Path, taken: Taken, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that has opened the old file meanwhile neither reads nor writes it."""

    async def slowly(*args: Any, **options: Any) -> Any:
        connected = await connect(*args, **options)
        _replace(database, taken.path)
        return connected

    monkeypatch.setattr("postroom.storage.opening.connect", slowly)
    opened = await Database.open(str(database))
    try:
        with pytest.raises(LostDatabaseError, match="has been replaced"):
            await opened.write(auth.ensure_token_key)
    finally:
        await opened.close()


def _replace(database: Path, other: Path) -> None:
    database.rename(database.with_name("old"))
    database.write_bytes(other.read_bytes())


def test_two_at_once(database: Path, taken: Taken) -> None:
    """The second one is refused."""
    from postroom.storage.backups import restoring

    def report(_what: str, _done: int, _total: int) -> None:
        with pytest.raises(DatabaseError, match="Another restore is running"):
            bring_back(taken.path, database)

    restoring.restore(restoring.Order(taken.path, str(database)), report)


def test_a_full_disk(database: Path, taken: Taken) -> None:
    """The database stays as it was."""
    before = content(database)
    with limited_files(100_000), pytest.raises(DatabaseError, match=r"The restore of .* failed: File too large"):
        bring_back(taken.path, database)
    assert content(database) == before
    assert names(database.parent) == [database.name, f"{database.name}.key"]


async def test_the_log_of_a_killed_service(database: Path, taken: Taken) -> None:
    """What is only in the log of the database is kept with it, and does not get into the new one."""
    _leave_log(database)
    assert database.with_name(f"{database.name}-wal").stat().st_size > 0
    kept = bring_back(taken.path, database).kept
    assert kept is not None
    with open_sqlite(kept) as connection:
        assert connection.execute("SELECT count(*) FROM orgs WHERE name LIKE 'in the log%'").fetchone() == (1,)
    assert restored(database)["orgs"] == content(taken.path)["orgs"]
    await opens(database)


_LEAVES = """
import os, signal, sys
from postroom.storage.sqlite import sqlite3
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL").fetchall()
connection.execute("INSERT INTO orgs (name, key) VALUES ('in the log', 'in the log')")
os.kill(os.getpid(), signal.SIGKILL)
"""


def _leave_log(database: Path) -> None:
    subprocess.run([sys.executable, "-c", _LEAVES, database], check=False)


def test_a_damaged_database(database: Path, taken: Taken) -> None:
    """One that cannot be read any more is kept with everything beside it, and nothing of it gets into the new one."""
    _leave_log(database)
    log, broken = database.with_name(f"{database.name}-wal").read_bytes(), b"\xff" * 100_000
    database.write_bytes(broken)
    database.with_name(f"{database.name}-wal").write_bytes(log)
    result = bring_back(taken.path, database)
    assert result.kept is not None
    assert result.kept.read_bytes() == broken
    assert result.kept.with_name(f"{result.kept.name}-wal").read_bytes() == log
    assert not result.ids_kept
    assert not database.with_name(f"{database.name}-wal").exists()
    assert restored(database) == restored(taken.path)


def test_a_damaged_database_in_use(database: Path, taken: Taken) -> None:
    """It is not replaced either while a process has it open."""
    with subprocess.Popen(
        [sys.executable, "-c", _USES, database], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        with database.open("r+b") as file:
            file.write(b"\xff" * 100)
        with pytest.raises(DatabaseError, match="Something is using the database"):
            bring_back(taken.path, database)
        process.communicate()


def test_remains_without_a_database(database: Path, taken: Taken) -> None:
    """A log whose database is gone would spoil the new one."""
    database.unlink()
    database.with_name(f"{database.name}-wal").write_bytes(b"x")
    with pytest.raises(DatabaseError, match="is there without its database"):
        bring_back(taken.path, database)
    assert not database.exists()


_RESTORES = """
import itertools, os, signal, sys
from pathlib import Path
from postroom.storage.backups import restoring

steps, last = itertools.count(1), int(sys.argv[3])

def dying(real):
    def step(*args, **options):
        if next(steps) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **options)
    return step

for name in ("link", "unlink", "replace", "rename", "fsync"):
    setattr(os, name, dying(getattr(os, name)))
restoring.restore(restoring.Order(Path(sys.argv[1]), sys.argv[2]), lambda *_: None)
"""


@pytest.mark.torture
@pytest.mark.parametrize("state", ["whole", "with a log", "damaged"])
def test_killed_at_each_step(database: Path, taken: Taken, state: str) -> None:
    """There is the old database or the new one, and the next restore clears up."""
    if state == "damaged":
        database.write_bytes(b"\xff" * 100_000)
    elif state == "with a log":
        _leave_log(database)
    pristine = {path: path.read_bytes() for path in database.parent.iterdir() if not path.name.endswith("-shm")}
    old = None if state == "damaged" else restored(database)
    new, seen = restored(taken.path), set()
    for number in range(1, 100):
        for path in database.parent.iterdir():
            if path.is_file():
                path.unlink()
        for path, whole in pristine.items():
            path.write_bytes(whole)
            path.chmod(0o600)
        process = subprocess.run(
            [sys.executable, "-c", _RESTORES, taken.path, database, str(number)], capture_output=True, check=False
        )
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, process.stderr
        if database.read_bytes() == b"\xff" * 100_000:
            seen.add("old")
        else:
            assert not database.with_name(f"{database.name}-wal").exists() or state == "with a log"
            found = restored(database)
            seen.add("new" if found == new else "old")
            assert found in (old, new)
        assert bring_back(taken.path, database).kept is not None
        assert restored(database) == new
        assert not [name for name in names(database.parent) if name.endswith(".part")]
        assert not any(path.samefile(database) for path in database.parent.glob("*.before-*"))
    assert number > 4
    assert seen == {"old", "new"}


def test_the_key_of_another_database(database: Path, taken: Taken) -> None:
    """Without the right key nothing is restored: its secrets could not be read. The right one may stand beside it."""
    keys = database.with_name(f"{database.name}.key")
    right = keys.read_bytes()
    keys.write_bytes(_other_key())
    with pytest.raises(BackupError, match=r"is not the one for the secrets in .*: put the right one there"):
        bring_back(taken.path, database)
    taken.path.with_name("backup.key").write_bytes(right)
    taken.path.with_name("backup.key").chmod(0o600)
    with pytest.raises(BackupError, match=r"backup\.key stands beside the backup"):
        bring_back(taken.path, database)
    assert names(database.parent) == [database.name, keys.name]
    keys.unlink()
    assert bring_back(taken.path, database).key_restored
    assert keys.read_bytes() == right
    assert keys.stat().st_mode & 0o777 == 0o600


def _other_key() -> bytes:
    return b"# postroom: keys of stored secrets\n" + b"A" * 43 + b"=\n"


async def test_a_lost_key(database: Path, taken: Taken) -> None:
    """A database whose key is lost comes back without its secrets if that is wanted, and with everything else."""
    keys = database.with_name(f"{database.name}.key")
    keys.unlink()
    with pytest.raises(BackupError, match="is missing, and without it nobody can read"):
        bring_back(taken.path, database)
    bring_back(taken.path, database, with_secrets=False)
    assert keys.exists()
    await opens(database)
    with open_sqlite(database) as connection:
        assert {value for (value,) in connection.execute("SELECT src_password FROM fetchmail")} == {""}
    assert restored(database)["users"] == content(taken.path)["users"]


def test_no_place(taken: Taken, tmp_path: Path) -> None:
    """A missing folder is not made."""
    with pytest.raises(BackupError, match="There is no folder"):
        bring_back(taken.path, tmp_path / "none" / "x.sqlite3")
    with pytest.raises(BackupError, match="in memory"):
        bring_back(taken.path, ":memory:")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_does_not_lock_out_the_service(database: Path, taken: Taken) -> None:
    """The new database belongs to the owner of the old one."""
    os.chown(database, 65534, 65534)
    bring_back(taken.path, database)
    assert database.stat().st_uid == 65534
