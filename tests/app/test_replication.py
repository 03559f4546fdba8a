"""A replica that Litestream writes all the time, and restoring it to a second: with the real program."""

import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from postroom.storage import sqlite
from postroom.storage.backups import litestream, replicas, replicating
from postroom.storage.backups.manifest import BackupError
from postroom.storage.backups.replicas import State, choose, list_states, moment_of
from postroom.storage.sqlite import sqlite3
from tests.app.test_cli import POSTROOM, serving
from tests.app.test_migrate_cli import contents as contents_of
from tests.demo import ROOT, Shell, commands
from tests.support.both_engines import make_sqlite

pytestmark = [pytest.mark.sqlite, pytest.mark.genuine, pytest.mark.torture]

PAGE = (ROOT / "docs" / "replication.md").read_text("utf-8")
NAME = "postroom.sqlite3"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """A database with its keys, in a folder of its own."""
    folder = tmp_path / "home"
    folder.mkdir()
    await make_sqlite(folder / NAME, filled=True)
    return folder / NAME


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where to replicate to."""
    return tmp_path / "replica"


def call(*arguments: str | Path, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command, which has to end with that code."""
    done = subprocess.run(
        [POSTROOM, *arguments], env={"PATH": os.environ["PATH"], **environment},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    return done


def replicate(file: Path, *arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """`postroom backup replicate` of a database."""
    return call("backup", "replicate", "--database", file, *arguments, code=code)


def restore(file: Path, folder: Path, at: str, target: Path | None = None, code: int = 0) -> dict[str, Any]:
    """Restores the replica to another file, or to the database; the result."""
    where = target or file
    done = call(
        "restore", folder, "--at", at, "--yes", "--json", "--database", where,
        code=code, POSTROOM_KEY_FILE=f"{file}.key",
    )  # fmt: skip
    document: dict[str, Any] = json.loads(done.stdout)
    return document if code else dict(document["data"])


# The configuration.


def test_the_configuration(file: Path, folder: Path) -> None:
    """It is beside the database, for its owner alone; the folder is made; and it is said how to run it."""
    shown = replicate(file, "--to", folder, "--keep", "2w").stdout
    written = file.with_name(f"{NAME}.litestream.yml")
    assert f"-config {written}" in shown
    assert written.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    text = written.read_text()
    for line in (f'path: "{file}"', f'path: "{folder}"', "l0-retention: 336h", "retention: 384h", "interval: 10ms"):
        assert line in text
    replicate(file, "--to", "s3://backups/postroom", "--interval", "250")
    text = written.read_text()
    assert 'url: "s3://backups/postroom"' in text
    assert "monitor-interval: 250ms" in text
    assert str(folder) not in text


def test_litestream_understands_it(tmp_path: Path) -> None:
    """Names with quotes, blanks, dollar signs and other letters arrive as they are."""
    name = """a "b" 'c' $HOME ${HOME} #é: \\x %h"""
    file = tmp_path / f"{name}.sqlite3"
    file.touch()
    litestream.Replication(file, str(tmp_path / name), timedelta(days=7), 10).write(tmp_path / "config.yml")
    done = subprocess.run(
        [litestream.program(), "databases", "-config", tmp_path / "config.yml", "-no-expand-env"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert str(file) in done.stdout
    assert (tmp_path / name).is_dir()


def test_the_unit_of_systemd(file: Path, folder: Path) -> None:
    """It runs as the owner of the database, and may write beside the database and into the folder only."""
    unit = replicate(file, "--to", folder, "--unit").stdout
    assert f"User={pwd.getpwuid(os.geteuid()).pw_name}\n" in unit
    assert f'ReadWritePaths="{file.parent}" "{folder}"\n' in unit
    assert "UMask=0077\n" in unit
    assert f'ExecStart="{litestream.program()}" "replicate" "-config" "{file}.litestream.yml" "-no-expand-env"' in unit
    assert litestream._quoted("50% of $HOME") == '"50%% of $$HOME"'


def test_what_is_refused(file: Path, folder: Path, tmp_path: Path) -> None:
    """Other engines, no database, what is no target, a time that is none, and a file of somebody else."""
    other = tmp_path / "litestream.yml"
    other.write_text("dbs: []\n")
    (tmp_path / "plain").touch()
    for arguments, reason in (
        (["--database", "postgresql://u@127.0.0.1:1/x"], "use the replication of the server"),
        (["--database", ":memory:"], "in memory"),
        (["--database", tmp_path / "nothing"], "There is no database"),
        (["--to", "http://example.org/x"], "http:// is not one of abs, gs"),
        (["--to", "s3://"], "s3:// is not one of"),
        (["--to", ""], "Name a folder or a URL"),
        (["--to", tmp_path / "plain"], "plain is not a folder"),
        (["--keep", "7"], "is not like 12h, 7d or 4w"),
        (["--keep", "7d,4w"], "is not like 12h, 7d or 4w"),
        (["--keep", "1y"], "is not like 12h, 7d or 4w"),
        (["--config", other], "is not of postroom"),
    ):
        done = call(
            "backup", "replicate", "--database", file, "--to", folder, *arguments,
            code=2, POSTROOM_KEY_FILE=str(tmp_path / "keys"),
        )  # fmt: skip
        assert reason in done.stderr, arguments
        assert len(done.stderr.splitlines()) == 1
    assert other.read_text() == "dbs: []\n"
    assert not file.with_name(f"{NAME}.litestream.yml").exists()


def test_without_litestream(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is said how to get it."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupError, match=r"pip install 'postroom\[replica\]'"):
        litestream.program()


def test_an_sqlite_that_two_processes_must_not_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Litestream is a second process."""
    monkeypatch.setattr(sqlite, "has_wal_reset_bug", lambda: True)
    with pytest.raises(BackupError, match=r"Install SQLite 3\.51\.3 or newer"):
        litestream.check_engine()


# Which state is restored.


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31T13:00:00+01:00", NOON),
        ("2026-01-31 12:00:00+00:00", NOON),
        ("90s", NOON - timedelta(seconds=90)),
        ("10m", NOON - timedelta(minutes=10)),
        ("2h", NOON - timedelta(hours=2)),
        ("3d", NOON - timedelta(days=3)),
        ("0s", NOON),
        ("latest", None),
    ],
)
def test_times(text: str, moment: datetime | None) -> None:
    """A time with its zone, or how long ago, as a whole second."""
    assert moment_of(text, NOON + timedelta(milliseconds=700)) == moment


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-01-31T12:00:00", "2026-01-31T12:00:00.5Z", "10", "-10m", "10 m", "1.5h", "9999999d",
     "2026-02-30T12:00:00Z", "12:00", "999999d"],
)  # fmt: skip
def test_times_that_are_none(text: str) -> None:
    """Without a zone nobody knows which second is meant."""
    with pytest.raises(BackupError, match="is no time to restore"):
        moment_of(text, NOON)


def states(*seconds: int) -> list[State]:
    """States that were found so many seconds after noon."""
    return [State(number, NOON + timedelta(seconds=each), "") for number, each in enumerate(seconds, 1)]


@pytest.mark.parametrize(
    ("at", "number"), [(1, 1), (2, 2), (5, 2), (6, 4), (7, 4), (9, 4), (10, 5), (None, 5)]
)  # fmt: skip
def test_the_last_state_before_a_second(at: int | None, number: int) -> None:
    """States of the second itself are later, those of the second before are not."""
    moment = None if at is None else NOON + timedelta(seconds=at)
    assert choose(states(0, 1, 5, 5, 9), moment, NOON + timedelta(hours=1)).number == number


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (-1, r"too early: the replica has every state since 2026-01-31T12:00:00Z"),
        (0, r"too early"),
        (11, r"too late: nothing was replicated after 2026-01-31T12:00:09Z.*--at latest"),
        (101, r"2026-01-31T12:01:41Z is in the future"),
    ],
)
def test_seconds_that_are_not_there(at: int, reason: str) -> None:
    """Before the first state, after the last, and after now."""
    with pytest.raises(BackupError, match=reason):
        choose(states(0, 1, 5, 5, 9), NOON + timedelta(seconds=at), NOON + timedelta(seconds=100))


def recorded(file: Path, *seconds: float) -> None:
    """A database with a record of changes that were made so many seconds after noon."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE audit (id INTEGER PRIMARY KEY)")
        times = [(int((NOON.timestamp() + each) * 1_000_000),) for each in seconds]
        connection.executemany("INSERT INTO audit VALUES (?)", times)
        connection.commit()


@pytest.mark.parametrize(
    ("earlier", "later", "chosen"),
    [
        ((0.1,), (0.1, 0.99), "following"),
        ((), (0.99,), "following"),
        ((0.1,), (0.1, 1.0), "state"),
        ((0.1,), (0.1, 0.99, 1.01), "state"),
        ((0.1,), (0.1,), "state"),
        ((), (), "state"),
        (None, None, "state"),
    ],
)
def test_a_write_that_was_found_late(
    earlier: tuple[float, ...] | None,
    later: tuple[float, ...] | None,
    chosen: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next state is restored if the record of changes says that all that is new in it was before the second."""
    one, other = State(1, NOON, ""), State(2, NOON + timedelta(seconds=1), "")
    wanted = replicating.Wanted("", one, other, NOON + timedelta(seconds=1))

    def fetch(_source: str, state: State, file: Path) -> None:
        seconds = earlier if state is one else later
        if seconds is None:
            sqlite3.connect(file).close()
        else:
            recorded(file, *seconds)

    monkeypatch.setattr(replicas, "fetch", fetch)
    file, time = replicating._fetch(wanted, tmp_path, lambda *_: None)
    assert file.name == chosen
    assert time == (NOON + timedelta(seconds=0.99) if chosen == "following" else NOON)


def test_a_damaged_state_has_no_record(tmp_path: Path) -> None:
    """What is wrong with it is told later."""
    (tmp_path / "damaged").write_text("Dear postroom,\n" * 100)
    assert replicating.last_change(tmp_path / "damaged") is None


@pytest.mark.parametrize(
    ("at", "number", "following"),
    [("12:00:05", 2, 3), ("12:00:03", 2, None), ("12:00:06", 3, None), ("latest", 4, None)],
)
def test_the_state_that_follows(at: str, number: int, following: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked at if it was found soon after the second."""
    monkeypatch.setattr(replicas, "list_states", lambda _source: states(0, 1, 5, 9))
    wanted = replicating.find("", at if at == "latest" else f"2026-01-31T{at}Z")
    assert wanted.state.number == number
    assert (wanted.following and wanted.following.number) == following


# The real program.

#: Writes a numbered row each 50 ms, and says when it began and when it was acknowledged.
WRITER = """
    import asyncio, sys, time
    from postroom.storage.database import Database

    async def main():
        database = await Database.open(sys.argv[1])
        for number in range(int(sys.argv[2]), 10**9):
            begun = time.time()
            row = (f"row {number}", "x" * int(sys.argv[3]))
            await database.write(lambda c: c.execute("INSERT INTO settings VALUES (?, ?)", row).close())
            print(number, begun, time.time(), flush=True)
            await asyncio.sleep(0.05)

    asyncio.run(main())
"""


class Writer:
    """A process that writes rows."""

    def __init__(self, file: Path, first: int = 1, size: int = 10) -> None:
        arguments = [sys.executable, "-c", textwrap.dedent(WRITER), str(file), str(first), str(size)]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        #: (number, begun, acknowledged)
        self.acknowledged: list[tuple[int, float, float]] = []

    def read(self, rows: int) -> None:
        """Waits for so many more acknowledgements."""
        assert self.process.stdout is not None
        for _ in range(rows):
            number, begun, acknowledged = self.process.stdout.readline().split()
            self.acknowledged.append((int(number), float(begun), float(acknowledged)))

    def kill(self) -> None:
        """Ends it in the middle of whatever it does; what it has acknowledged until then counts."""
        self.process.kill()
        rest, _ = self.process.communicate()
        for line in rest.splitlines(keepends=True):
            if line.endswith("\n"):
                number, begun, acknowledged = line.split()
                self.acknowledged.append((int(number), float(begun), float(acknowledged)))


@contextlib.contextmanager
def running_litestream(file: Path, folder: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Litestream, as `--run` starts it."""
    arguments = ["backup", "replicate", "--database", str(file), "--to", str(folder), "--run", *options]
    log = file.parent / "litestream.log"
    with log.open("ab") as output:
        process = subprocess.Popen([POSTROOM, *arguments], stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert "level=ERROR" not in log.read_text(), log.read_text()


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends Litestream in good order."""
    process.send_signal(signal.SIGTERM)
    process.wait(30)


def rows(file: Path) -> list[int]:
    """The numbers of the rows in a database."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        names = connection.execute("SELECT name FROM settings WHERE name LIKE 'row %'").fetchall()
    return sorted(int(name.removeprefix("row ")) for (name,) in names)


def contents(file: Path) -> dict[str, list[Any]]:
    """Everything in a database, except for what Litestream keeps there."""
    return {table: found for table, found in contents_of(file).items() if not table.startswith("_litestream_")}


def newest(folder: Path, scratch: Path) -> Path | None:
    """The newest state in a replica, as it is there; None when there is none yet."""
    scratch.unlink(missing_ok=True)
    try:
        replicas.fetch(str(folder), list_states(str(folder))[-1], scratch)
    except BackupError:
        return None
    return scratch


def wait_for(holds: Callable[[], bool]) -> None:
    """Waits until something is so, which takes a process of its own to find out."""
    limit = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.05)


def caught_up(file: Path, folder: Path) -> None:
    """Waits until everything in the database is in the replica."""
    scratch = file.with_name("scratch")

    def is_there() -> bool:
        found = newest(folder, scratch)
        return found is not None and contents(found) == contents(file)

    wait_for(is_there)


def begun(folder: Path) -> None:
    """Waits until there is a first state."""
    wait_for(lambda: folder.is_dir() and newest(folder, folder.with_name("first")) is not None)


def utc(second: float) -> str:
    """A whole second, as for --at."""
    return datetime.fromtimestamp(int(second), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_restored_to_a_second(file: Path, folder: Path, tmp_path: Path) -> None:
    """Every write is there that was acknowledged before the state that is named, and none that began at the second."""
    with running_litestream(file, folder) as process:
        begun(folder)
        writer = Writer(file)
        writer.read(80)
        writer.kill()
        caught_up(file, folder)
        stop(process)
    _, first, _ = writer.acknowledged[0]
    _, _, last = writer.acknowledged[-1]
    seconds = range(int(first) + 1, int(last) + 1)
    assert len(seconds) >= 3
    for second in seconds:
        target = tmp_path / f"{second}.sqlite3"
        found = restore(file, folder, utc(second), target)
        state = datetime.fromisoformat(found["time"]).timestamp()
        assert state < second
        restored = rows(target)
        assert restored == list(range(1, len(restored) + 1))
        assert {number for number, _, acknowledged in writer.acknowledged if acknowledged < state} <= set(restored)
        assert not {number for number, begun_at, _ in writer.acknowledged if begun_at >= second} & set(restored)
    assert {path.stat().st_mode & 0o077 for path in folder.rglob("*")} == {0}


def test_killed_at_any_time(file: Path, folder: Path, tmp_path: Path) -> None:
    """Whatever is killed, the writer or Litestream, nothing that was acknowledged is missing in the end."""
    acknowledged: list[int] = []
    for turn in range(3):
        with running_litestream(file, folder) as process:
            begun(folder)
            writer = Writer(file, first=1 + 1000 * turn)
            writer.read(10)
            if turn == 1:
                process.kill()
                process.wait()
            writer.kill()
            acknowledged += [number for number, _, _ in writer.acknowledged]
    with running_litestream(file, folder) as process:
        caught_up(file, folder)
        stop(process)
    restore(file, folder, "latest", tmp_path / "restored.sqlite3")
    assert set(acknowledged) <= set(rows(tmp_path / "restored.sqlite3")) == set(rows(file))


def test_checkpoints_of_others(file: Path, folder: Path) -> None:
    """postroom writes its log back and empties it, ends, starts again, and rotates its key: the replica follows."""
    with running_litestream(file, folder) as process:
        begun(folder)
        for turn in range(2):
            # Logs of more than the thousand pages after which SQLite writes it back by itself.
            writer = Writer(file, first=1 + 1000 * turn, size=400_000)
            writer.read(20)
            with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
                connection.execute("PRAGMA busy_timeout = 5000")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            writer.read(2)
            writer.process.terminate()
            writer.kill()
            call("key", "rotate", "--database", file)
        caught_up(file, folder)
        stop(process)


def test_what_is_in_use_is_not_restored(file: Path, folder: Path) -> None:
    """Neither while Litestream runs nor while the service does; then the database from before is kept."""
    with running_litestream(file, folder) as process:
        caught_up(file, folder)
        assert "Something is using the database" in restore(file, folder, "latest", code=3)["message"]
        stop(process)
    with serving(file.parent):
        assert "Something is using the database" in restore(file, folder, "latest", code=3)["message"]
    found = restore(file, folder, "latest")
    assert Path(found["kept"]).exists()
    with serving(file.parent) as running:
        assert running.stop() == 0
    call("backup", file.parent / "backup.sqlite3", "--verify", "--database", file)


@pytest.mark.parametrize("lost", [False, True], ids=["its notes kept", "its notes lost"])
def test_replication_goes_on_after_a_restore(file: Path, folder: Path, tmp_path: Path, lost: bool) -> None:
    """To the same replica; what was there before and what comes afterwards can both be restored."""
    with running_litestream(file, folder) as process:
        begun(folder)
        writer = Writer(file)
        writer.read(25)
        writer.kill()
        caught_up(file, folder)
        stop(process)
    second = int(writer.acknowledged[0][2]) + 1
    restore(file, folder, utc(second))
    assert len(rows(file)) < 25
    if lost:
        shutil.rmtree(file.with_name(f".{NAME}-litestream"))
    with running_litestream(file, folder) as process:
        later = Writer(file, first=1001)
        later.read(5)
        later.kill()
        caught_up(file, folder)
        stop(process)
    restore(file, folder, "latest", tmp_path / "latest.sqlite3")
    assert rows(tmp_path / "latest.sqlite3") == rows(file)
    restore(file, folder, utc(writer.acknowledged[-1][2] + 1), tmp_path / "before.sqlite3")
    assert max(rows(tmp_path / "before.sqlite3")) >= 25


def test_replicas_that_are_none(file: Path, folder: Path, tmp_path: Path) -> None:
    """No folder, an empty one, one with files that are not whole; the database stays as it is."""
    (tmp_path / "empty").mkdir()
    assert "There is no folder" in restore(file, folder, "latest", code=2)["message"]
    assert "There is no replica" in restore(file, tmp_path / "empty", "latest", code=2)["message"]
    with running_litestream(file, folder) as process:
        begun(folder)
        stop(process)
    for each in folder.rglob("*.ltx"):
        each.write_bytes(each.read_bytes()[:-20])
    before = file.read_bytes()
    assert "Litestream failed" in restore(file, folder, "latest", code=2)["message"]
    assert file.read_bytes() == before
    assert not list(file.parent.glob("*.part"))


def test_settings_of_postroom_stay_here(file: Path, folder: Path, tmp_path: Path) -> None:
    """Litestream gets the keys of its storage from the environment, and no password of ours."""
    seen = tmp_path / "seen"
    program = tmp_path / "bin" / "litestream"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nenv >> {seen}\necho '[]'\n")
    program.chmod(0o700)
    code = "import sys; sys.executable = '/nowhere/python'; from postroom.app.cli.main import app; app()"
    environment = {"PATH": f"{program.parent}:{os.environ['PATH']}", "AWS_ACCESS_KEY_ID": "key"}
    for arguments in (f"backup replicate --to {folder} --run", f"restore {folder} --at latest"):
        command = [sys.executable, "-c", code, *arguments.split(), "--database", str(file)]
        given = {**environment, "POSTROOM_ADMIN_PASSWORD": "secret"}
        subprocess.run(command, env=given, capture_output=True, check=False)
    assert seen.read_text().count("AWS_ACCESS_KEY_ID=key") == 2
    assert "secret" not in seen.read_text()


def test_the_page(file: Path, tmp_path: Path) -> None:
    """The commands of docs/replication.md work as they are, the database and the folder being here."""
    folder = tmp_path / "mnt"
    first, unit, back = (text.replace("/mnt/backup", str(folder)) for _, text in commands(PAGE))
    install, write = first.splitlines()
    assert install == "pip install 'postroom[replica]'"
    folder.mkdir()
    shell = Shell(tmp_path)
    there = f"cd {file.parent}\nPATH={Path(sys.executable).parent}:$PATH\n"
    assert "Written: " in shell.run(there + write)
    shell.run(there + unit)
    assert (file.parent / "postroom-replica.service").read_text().startswith("[Unit]\n")
    with running_litestream(file, folder / "postroom") as process:
        caught_up(file, folder / "postroom")
        stop(process)
    assert back.endswith(" --at 2026-01-31T12:00:00Z")
    shell.run(there + back.replace("2026-01-31T12:00:00Z", "latest") + " --yes")
    for name in re.findall(r"^\| `(--\w+)`", PAGE, re.MULTILINE):
        assert name in call("backup", "replicate", "--help").stdout
