"""postroom move: what it prints, and how it ends. tests/storage/test_moving.py has what it does."""

import json
import os
import pty
import signal
import subprocess
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from postroom.storage.moving.tables import TABLES
from tests.app.test_cli import POSTROOM
from tests.support.both_engines import make_sqlite, open_sqlite
from tests.support.postgresql import PASSWORD, PostgreSQL

SOURCE = "source.sqlite3"


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A folder with a database."""
    await make_sqlite(tmp_path / SOURCE, filled=True)
    return tmp_path


def move(folder: Path, *arguments: str, code: int = 0, keys: str = "") -> subprocess.CompletedProcess[str]:
    """What the command prints; it has to end with that code, and has to print one line when it fails."""
    result = subprocess.run(
        [POSTROOM, "move", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "POSTROOM_KEY_FILE": keys},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == code, result
    if code:
        assert result.stdout == ""
        assert len(result.stderr.splitlines()) == 1
    return result


def test_the_result(folder: Path) -> None:
    """Tables with their rows and checksums on stdout, and what is left to do on stderr."""
    result = move(folder, SOURCE, "target.sqlite3")
    (users,) = (line.split() for line in result.stdout.splitlines() if line.startswith("users"))
    assert users[1] == "8"
    assert f"of {len(TABLES)} tables" in result.stdout
    assert "cp -p source.sqlite3.key target.sqlite3.key" in result.stderr
    assert "Stop what still runs on the source" in result.stderr
    with open_sqlite(folder / "target.sqlite3") as connection:
        assert connection.execute("SELECT count(*) FROM users").fetchone() == (8,)


def test_json(folder: Path) -> None:
    """One document for scripts, with the whole checksums."""
    document: dict[str, Any] = json.loads(move(folder, SOURCE, "target.sqlite3", "--json").stdout)
    (users,) = (one for one in document["data"] if one["table"] == "users")
    assert (users["rows"], len(users["checksum"])) == (8, 64)
    assert "Moved" in document["message"]
    failed = subprocess.run([POSTROOM, "move", SOURCE, SOURCE, "--json"], cwd=folder, capture_output=True, check=False)
    assert failed.returncode == 2
    assert json.loads(failed.stdout) == {"message": ANY, "data": None}


@pytest.mark.postgresql
def test_a_password_in_a_file(folder: Path) -> None:
    """@FILE stands for a URL, so that its password is in no list of processes; no message has it."""
    with PostgreSQL(tcp=True) as server:
        (folder / "url").write_text(server.tcp_url(server.make_database()) + "\n")
        keys = str(folder / f"{SOURCE}.key")
        move(folder, SOURCE, "@url", keys=keys)
        line = move(folder, SOURCE, "@url", code=2, keys=keys).stderr
        assert "is not empty" in line
        assert PASSWORD not in line
        move(folder, "@url", "back.sqlite3", keys=keys)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((SOURCE, SOURCE), 2, "are the same database"),
        (("nothing.sqlite3", "target.sqlite3"), 2, "There is no database nothing.sqlite3"),
        ((SOURCE, ":memory:"), 2, "TARGET: a database in memory"),
        ((SOURCE, "mysql://x/y"), 2, "TARGET: a URL of a database looks like"),
        (("@nothing", "target.sqlite3"), 2, "SOURCE: "),
        ((SOURCE, "postgresql://x@127.0.0.1:9/y"), 2, "POSTROOM_KEY_FILE"),
        ((SOURCE, f"{SOURCE}/target"), 3, "Not a directory. Nothing was moved"),
    ],
)
def test_refused(folder: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    """One line that names it, and nothing is made."""
    before = sorted(folder.iterdir())
    assert said in move(folder, *arguments, code=code).stderr
    assert sorted(folder.iterdir()) == before


@pytest.mark.postgresql
def test_a_server_that_is_away(folder: Path) -> None:
    """Trying again may help."""
    keys = str(folder / f"{SOURCE}.key")
    line = move(folder, SOURCE, "postgresql://x:secret@127.0.0.1:9/y", code=3, keys=keys).stderr
    assert "postgresql://x@127.0.0.1:9/y" in line
    assert "secret" not in line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_on_a_terminal(folder: Path, number: signal.Signals) -> None:
    """The progress is shown on a terminal; a signal ends the command, which leaves nothing."""
    with open_sqlite(folder / SOURCE) as connection:
        connection.execute("UPDATE settings SET value = value")
        rows = [(f"{number}", "x" * 1000) for number in range(100_000)]
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO settings VALUES (?, ?)", rows)
        connection.execute("COMMIT")
    ours, terminal = pty.openpty()
    process = subprocess.Popen(
        [POSTROOM, "move", SOURCE, "target.sqlite3"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "TERM": "xterm", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    while b"settings" not in shown:
        shown += os.read(ours, 10_000)
    process.send_signal(number)
    output, _ = process.communicate()
    while b"Interrupted" not in shown:
        shown += os.read(ours, 10_000)
    os.close(ours)
    assert (process.returncode, output) == (130, b"")
    assert b"%" in shown
    assert not list(folder.glob("target*"))


def test_help() -> None:
    """Shows what to type, and the exit codes."""
    result = subprocess.run([POSTROOM, "move", "--help"], capture_output=True, text=True, check=True)
    assert "postroom move postroom.sqlite3 postgresql://" in result.stdout
    assert "130" in result.stdout
