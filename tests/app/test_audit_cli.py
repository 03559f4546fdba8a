"""postroom audit: what it shows of a database, and commands in the record."""

import asyncio
import json
import subprocess
from pathlib import Path

from postroom.storage.database import Database
from postroom.storage.engine import Connection
from tests.app.test_cli import POSTROOM


def audit(folder: Path, *arguments: str, code: int = 0) -> str:
    """What the command prints; it has to end with that code."""
    result = subprocess.run([POSTROOM, "audit", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == code, result
    return result.stdout + result.stderr


def make(folder: Path) -> None:
    """A database with a user who was renamed."""

    def work(connection: Connection) -> None:
        connection.execute("INSERT INTO users (id, username) VALUES (0, 'anna\x1b[31m')")
        connection.execute("INSERT INTO orgs (id, name, key) VALUES (1, 'One', 'one')")

    def change(connection: Connection) -> None:
        connection.execute("UPDATE users SET username = 'berta' WHERE id = 0")

    async def fill() -> None:
        database = await Database.open(str(folder / "postroom.sqlite3"))
        await database.write(work)
        await database.write(change)
        await database.close()

    asyncio.run(fill())


def test_table_and_lines(tmp_path: Path) -> None:
    """A table for people, without what a terminal would interpret; with --json a document on each line."""
    make(tmp_path)
    shown = audit(tmp_path)
    assert "username" in shown
    assert "\x1b[31m" not in shown
    rows = [json.loads(line) for line in audit(tmp_path, "--json").splitlines()]
    assert [(row["action"], row["kind"]) for row in rows] == [("change", "user"), ("create", "org"), ("create", "user")]
    (row,) = [json.loads(line) for line in audit(tmp_path, "--json", "--kind", "org", "--id", "1").splitlines()]
    assert row["changes"] == {"name": [None, "One"]}
    assert audit(tmp_path, "--until", "2020-01-01") == ""
    assert len(audit(tmp_path, "--json", "--limit", "1").splitlines()) == 1
    assert len(audit(tmp_path, "--json", "--name", "berta").splitlines()) == 2


def test_refused(tmp_path: Path) -> None:
    """A wrong filter, and no database: one line and code 2."""
    assert "there is no database" in audit(tmp_path, code=2).lower()
    make(tmp_path)
    assert "Not a date" in audit(tmp_path, "--from", "x", code=2)
    assert "Needs a kind" in audit(tmp_path, "--id", "7", code=2)
    assert "without control characters" in audit(tmp_path, "--name", "\udcff", code=2)


def test_a_command_is_recorded(tmp_path: Path) -> None:
    """With its name, and the user of the system who has run it."""
    make(tmp_path)
    subprocess.run([POSTROOM, "key", "rotate", "--tokens"], cwd=tmp_path, check=True, capture_output=True)
    rows = [json.loads(line) for line in audit(tmp_path, "--json", "--means", "command").splitlines()]
    assert rows
    assert {row["operation"] for row in rows} == {"postroom key rotate"}
    assert all(row["actor"] for row in rows)
    assert {name for row in rows for name in row["changes"]} == {"encryption.keyID", "settings.token_key"}
