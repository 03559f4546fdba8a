"""postroom backup and postroom restore, with real processes: a service under load, signals, full disks."""

import asyncio
import contextlib
import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from postroom.storage.backups import folder
from tests.app.test_cli import POSTROOM, Running, serving
from tests.support.backups import back_up, content, names, verified
from tests.support.both_engines import make_sqlite, open_sqlite
from tests.support.waiting import until

DATABASE = "postroom.sqlite3"
PASSWORD = "a long enough password"


@pytest.fixture
async def home(tmp_path: Path) -> Path:
    """A folder with a database and an empty folder `backups`."""
    await make_sqlite(tmp_path / DATABASE, filled=True)
    (tmp_path / "backups").mkdir()
    return tmp_path


def command(home: Path, *arguments: str, code: int = 0, said: str = "") -> subprocess.CompletedProcess[str]:
    """Runs the command; it has to end with that code, and to say one line when it fails."""
    result = subprocess.run(
        [POSTROOM, *arguments],
        cwd=home, env={"PATH": os.environ["PATH"]}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == code, result
    assert said in result.stdout + result.stderr
    if code:
        assert len(result.stderr.splitlines()) == 1, result
    return result


def test_from_backup_to_restore(home: Path) -> None:
    """Taking, listing, verifying and restoring, each with a document for scripts as well."""
    taken = json.loads(command(home, "backup", "backups", "--verify", "--json").stdout)["data"]
    assert (taken["users"], taken["removed"]) == (7, [])
    again = command(home, "backup", "backups")
    assert "7 users, as of " in again.stdout
    assert "need the key file postroom.sqlite3.key: keep a copy of that elsewhere" in again.stderr
    listed = json.loads(command(home, "backup", "list", "backups", "--json").stdout)["data"]
    assert [found["fault"] for found in listed] == ["", ""]
    assert listed[0]["sha256"] == taken["sha256"]
    assert command(home, "backup", "list", "backups").stdout.count(".sqlite3\n") == 2
    assert json.loads(command(home, "backup", "verify", taken["file"], "--json").stdout)["data"]["users"] == 7
    restored = command(home, "restore", taken["file"], "--yes", "--json")
    document = json.loads(restored.stdout)["data"]
    assert (document["users"], Path(document["kept"]).exists()) == (7, True)
    assert f"To go back: postroom restore {document['kept']} --unchecked" in restored.stderr
    row = json.loads(command(home, "audit", "--json", "--operation", "restore", "--database", DATABASE).stdout)
    assert (row["means"], row["kind"], row["actor"] != "") == ("command", "settings", True)
    assert row["changes"]["restored"][1].startswith(f"{Path(taken['file']).name}, as of 20")
    command(home, "restore", document["kept"], "--yes", "--unchecked", said="7 users")
    rotated = command(home, "backup", "backups", "--keep", "1d")
    assert rotated.stdout.count("Removed ") == 2
    assert command(home, "backup", "list", "backups").stdout.count(".sqlite3\n") == 1
    (home / "empty").mkdir()
    command(home, "backup", "list", "empty", said="There are no backups")


def test_what_is_refused(home: Path) -> None:
    """One line that says why, the right exit code, and nothing is left."""
    back_up(home / DATABASE, home / "good")
    before = names(home)
    for arguments, code, said in (
        (("backup", "none/backup"), 2, "There is no folder none"),
        (("backup", "good"), 2, "replaces nothing"),
        (("backup", ""), 2, "TARGET is empty"),
        (("backup", "backups", "--keep", "7"), 2, "--keep: '7' is not like 7d,4w,12m"),
        (("backup", "new", "--keep", "7d"), 2, "--keep: new is not a folder"),
        (("backup", "backups", "--database", "none"), 2, "There is no database none"),
        (("backup", "backups", "--database", ":memory:"), 2, "in memory"),
        (("backup", "list", "none"), 3, "No such file"),
        (("backup", "verify", "none"), 2, "There is no backup none"),
        (("backup", "verify", DATABASE), 2, "has no manifest"),
        (("restore", "none", "--yes"), 2, "There is no backup none"),
        (("restore", "good"), 2, "There is no terminal to ask on: add --yes"),
        (("restore", f"{DATABASE}.key", "--yes"), 2, "has no manifest"),
        (("restore", f"{DATABASE}.key", "--yes", "--unchecked"), 1, "it is not an SQLite file"),
    ):
        command(home, *arguments, code=code, said=said)
    good = (home / "good").read_bytes()
    (home / "good").write_bytes(good[:-1])
    for arguments in (("backup", "verify", "good"), ("restore", "good", "--yes")):
        command(home, *arguments, code=1, said="good is cut off")
    assert names(home) == before
    assert names(home / "backups") == []
    document = subprocess.run(
        [POSTROOM, "backup", "verify", "good", "--json"], cwd=home, capture_output=True, check=False
    )
    assert json.loads(document.stdout)["data"] is None


def test_a_damaged_backup_in_a_list(home: Path) -> None:
    """It is marked, and the exit code says so."""
    back_up(home / DATABASE, home / "backups")
    (file,) = (home / "backups").glob("*.sqlite3")
    file.write_bytes(b"")
    result = subprocess.run(
        [POSTROOM, "backup", "list", "backups"], cwd=home, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "DAMAGED: it is cut off" in result.stdout


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_running_service(home: Path, workers: str) -> None:
    """A database that a service has open is not replaced; once the service has stopped, it is."""
    before = content(home / DATABASE)["users"]
    with serving(home, "--workers", workers) as running:
        command(home, "backup", "backups")
        (file,) = names(home / "backups")[:1]
        command(home, "restore", f"backups/{file}", "--yes", code=3, said="stop the service first")
        assert content(home / DATABASE)["users"] == before
        assert running.stop() == 0
    command(home, "restore", f"backups/{file}", "--yes")
    with serving(home) as running:
        assert running.stop() == 0


class _Load:
    """Writers of a service, which remember what was acknowledged."""

    def __init__(self, running: Running, session: ClientSession) -> None:
        self._url = f"http://127.0.0.1:{running.ports[0]}/api/v1"
        self._session = session
        self.acknowledged: list[str] = []

    async def log_in(self) -> None:
        """As the administrator, with a domain."""
        async with self._session.post(f"{self._url}/login", data={"user": "admin", "pass": PASSWORD}) as answer:
            token = (await answer.json())["grommunioAuthJwt"]
        self._session.headers["Authorization"] = f"Bearer {token}"
        async with self._session.post(
            f"{self._url}/system/domains", json={"domainname": "load.example", "maxUser": 100_000}
        ) as answer:
            self._domain = (await answer.json())["ID"]

    async def write(self, writer: int) -> None:
        """Creates users, each with an alias and a property, until it is cancelled."""
        number = 0
        while True:
            number += 1
            name = f"user-{writer}-{number}"
            body = {
                "username": name,
                "status": 4,
                "aliases": [f"{name}-a@load.example"],
                "properties": {"comment": name},
            }
            async with self._session.post(f"{self._url}/domains/{self._domain}/users", json=body) as answer:
                assert answer.status == 201, await answer.text()
            self.acknowledged.append(name)


async def test_under_eight_writers(tmp_path: Path) -> None:
    """Every write acknowledged before the backup began is in it, with all that belongs to it; nothing is half."""
    (tmp_path / "backups").mkdir()
    with serving(tmp_path, POSTROOM_ADMIN_PASSWORD=PASSWORD) as running:
        async with ClientSession() as session:
            load = _Load(running, session)
            await load.log_in()
            writers = [asyncio.create_task(load.write(number)) for number in range(8)]
            before = []
            for _ in range(3):
                known = len(load.acknowledged)
                await until(lambda known=known: len(load.acknowledged) > known + 50)  # type: ignore[misc]
                before.append(set(load.acknowledged))
                await asyncio.to_thread(command, tmp_path, "backup", "backups")
            for writer in writers:
                writer.cancel()
            await asyncio.gather(*writers, return_exceptions=True)
        assert running.stop() == 0
    taken = folder.list_backups(tmp_path / "backups")
    for acknowledged, backup in zip(before, taken, strict=True):
        verified(backup.path)
        command(tmp_path, "restore", str(backup.path), "--yes", "--database", "restored.sqlite3", *_keys(tmp_path))
        with open_sqlite(tmp_path / "restored.sqlite3") as connection:
            rows = connection.execute(
                """
                SELECT substr(u.username, 1, instr(u.username, '@') - 1),
                       (SELECT count(*) FROM addresses WHERE user_id = u.id),
                       (SELECT group_concat(value) FROM properties WHERE user_id = u.id AND name = 'comment')
                  FROM users u WHERE u.domain_id IS NOT NULL
                """
            ).fetchall()
        found = {name for name, _, _ in rows}
        assert acknowledged <= found
        assert all((addresses, comment) == (2, name) for name, addresses, comment in rows)


def _keys(home: Path) -> tuple[str, ...]:
    """Puts the key file where the restored database looks for it."""
    (home / "restored.sqlite3.key").write_bytes((home / f"{DATABASE}.key").read_bytes())
    (home / "restored.sqlite3.key").chmod(0o600)
    return ()


@contextlib.contextmanager
def small_disk(at: Path, size: str) -> Iterator[Path]:
    """A disk of that size, where one may be mounted."""
    at.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", at], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", at], check=False)


def _enlarge(home: Path) -> None:
    with open_sqlite(home / DATABASE) as connection:
        connection.execute("BEGIN")
        rows = ((f"big {number}", "x" * 1000) for number in range(100_000))
        connection.executemany("INSERT INTO settings VALUES (?, ?)", rows)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def test_a_full_disk(home: Path) -> None:
    """Neither a backup nor a restore leaves anything on a disk that is full, and both say so."""
    back_up(home / DATABASE, home / "good")
    size = (home / DATABASE).stat().st_size
    with small_disk(home / "disk", str(size // 2)) as disk:
        command(home, "backup", "disk", code=3, said="There is no room in disk")
        assert names(disk) == []
        (disk / DATABASE).write_bytes(b"")
        keys = (home / f"{DATABASE}.key").read_bytes()
        (disk / f"{DATABASE}.key").write_bytes(keys)
        (disk / f"{DATABASE}.key").chmod(0o600)
        command(
            home, "restore", "good", "--yes", "--database", f"disk/{DATABASE}", code=3, said="No space left on device"
        )
        assert names(disk) == [DATABASE, f"{DATABASE}.key"]
    # Room for the database, but not for what is in its log.
    with open_sqlite(home / DATABASE) as connection:
        connection.execute("INSERT INTO settings VALUES ('big', ?)", ("x" * size,))
        with small_disk(home / "disk", str(size + 16384)) as disk:
            command(home, "backup", "disk", code=3, said="The backup to disk failed: database or disk is full")
            assert names(disk) == []


def test_a_read_only_disk(home: Path) -> None:
    """A backup there can be verified, and nothing can be written."""
    with small_disk(home / "disk", "10m") as disk:
        taken = back_up(home / DATABASE, disk / "good")
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        command(home, "backup", "disk", code=3, said="Read-only file system")
        command(home, "backup", "verify", "disk/good", said="can be restored")
        command(home, "restore", "disk/good", "--yes", said="7 users")
        assert taken.path.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_on_a_terminal(home: Path, number: signal.Signals) -> None:
    """The progress of what takes long is shown on a terminal; a signal ends the command, which leaves nothing."""
    _enlarge(home)
    ours, terminal = pty.openpty()
    slow = (
        "import time; from postroom.storage.backups import copying; "
        "copying.Pauses.pause = lambda self: time.sleep(0.2); "
        "from postroom.app.cli.main import main; main()"
    )
    process = subprocess.Popen(
        [POSTROOM.with_name("python"), "-c", slow, "backup", "backups"],
        cwd=home, env={"PATH": os.environ["PATH"], "TERM": "xterm", "COLUMNS": "100"},
        stdout=subprocess.PIPE, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    shown = b""
    while b"copying" not in shown or b"%" not in shown:
        shown += os.read(ours, 10_000)
    process.send_signal(number)
    output, _ = process.communicate()
    while b"Interrupted" not in shown:
        shown += os.read(ours, 10_000)
    os.close(ours)
    assert (process.returncode, output) == (130, b"")
    assert names(home / "backups") == []


@pytest.mark.parametrize(("typed", "code"), [(b"y\n", 0), (b"n\n", 130), (b"\n", 130), (b"\x04", 130)])
def test_a_question_on_a_terminal(home: Path, typed: bytes, code: int) -> None:
    """A database is replaced only after a yes."""
    back_up(home / DATABASE, home / "good")
    ours, terminal = pty.openpty()
    process = subprocess.Popen(
        [POSTROOM, "restore", "good"],
        cwd=home, env={"PATH": os.environ["PATH"], "TERM": "dumb"},
        stdin=terminal, stdout=subprocess.PIPE, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    shown = b""
    while b"Replace the database postroom.sqlite3?" not in shown:
        shown += os.read(ours, 10_000)
    os.write(ours, typed)
    output, _ = process.communicate()
    os.close(ours)
    assert process.returncode == code
    assert bool(list(home.glob("*.before-*"))) == (code == 0) == (b"7 users" in output)


def test_nothing_to_lose(home: Path) -> None:
    """Where there is no database, nobody is asked."""
    taken: Any = back_up(home / DATABASE, home / "good")
    (home / DATABASE).unlink()
    for more in ("-wal", "-shm"):
        (home / f"{DATABASE}{more}").unlink(missing_ok=True)
    command(home, "restore", "good", said=f"{taken.manifest.users} users")


@pytest.mark.parametrize(
    "words", [("backup",), ("backup", "create"), ("backup", "list"), ("backup", "verify"), ("restore",)]
)
def test_help(words: tuple[str, ...]) -> None:
    """Shows what to type, and the exit codes."""
    result = subprocess.run([POSTROOM, *words, "--help"], capture_output=True, text=True, check=True)
    assert f"  postroom {words[0]} " in result.stdout
    assert "130  interrupted" in result.stdout
