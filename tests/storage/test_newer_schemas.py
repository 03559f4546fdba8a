"""A database of a newer schema is refused, unless it says that this program can go on with it."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from postroom.storage import migrations
from postroom.storage.checks.examine import examine
from postroom.storage.checks.findings import NEWER, State
from postroom.storage.database import Database
from postroom.storage.faults import LostDatabaseError, WrongDatabaseError
from postroom.storage.migrations import Migration, oldest_after
from postroom.storage.postgresql import migrating
from postroom.storage.sqlite import sqlite3
from postroom.storage.urls import is_url
from tests.app.test_cli import POSTROOM
from tests.conftest import StartService
from tests.support.both_engines import open_postgresql, open_sqlite, run
from tests.support.postgresql import PostgreSQL
from tests.support.service import ADMIN_PASSWORD

pytestmark = [pytest.mark.postgresql, pytest.mark.sqlite, pytest.mark.genuine]

ENGINES = ("sqlite", "postgresql")
CHANGE = "ALTER TABLE domains ADD COLUMN mood TEXT;"
LATEST = {"sqlite": migrations.latest(), "postgresql": migrating.latest()}

#: Makes a database with these migrations behind those that there are: number -> whether this program can go on.
Newer = Callable[..., Any]


@pytest.fixture
def keys(tmp_path: Path) -> str:
    """The key file of all databases of a test."""
    return str(tmp_path / "keys")


@contextlib.contextmanager
def later(monkeypatch: pytest.MonkeyPatch, added: dict[int, bool]) -> Iterator[None]:
    """The program of a later version, for the time of the block."""
    known, scripts = migrations.migrations(), migrating._scripts()

    def script(engine: str, number: int, can_go_on: bool) -> str:
        said = f"-- Programs that know schema {LATEST[engine]} can go on.\n" if can_go_on else ""
        return said + CHANGE.replace("mood", f"mood_{number}")

    more = [Migration(number, f"{number}_mood.sql", script("sqlite", number, ok)) for number, ok in added.items()]
    on_server = {number: script("postgresql", number, ok) for number, ok in added.items()}
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "migrations", lambda: (*known, *more))
        patched.setattr(migrating, "_scripts", lambda: {**scripts, **on_server})
        yield


@pytest.fixture
def name(request: pytest.FixtureRequest, tmp_path: Path, postgresql_server: PostgreSQL) -> str:
    """An engine's database in which there is nothing yet."""
    if request.param == "sqlite":
        return str(tmp_path / "postroom.sqlite3")
    return postgresql_server.url(postgresql_server.make_database())


async def make(name: str, keys: str, monkeypatch: pytest.MonkeyPatch, added: dict[int, bool]) -> None:
    """Makes a database as a later version does."""
    with later(monkeypatch, added):
        await (await Database.open(name, key_file=keys)).close()


def version(name: str) -> int:
    """The schema version of a database."""
    if is_url(name):
        with open_postgresql(name) as connection:
            return int(run(connection, "SELECT version FROM schema_version").fetchall()[0][0])
    with contextlib.closing(sqlite3.connect(name)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_the_line_of_a_migration() -> None:
    """Without one, only programs that know the migration can go on."""
    assert oldest_after(17, CHANGE) == 17
    assert oldest_after(17, f"-- Why.\n-- Programs that know schema 16 can go on.\n{CHANGE}") == 16
    assert oldest_after(17, f"SELECT 1; -- Programs that know schema 16 can go on.\n{CHANGE}") == 17


@pytest.mark.parametrize("name", ENGINES, indirect=True)
async def test_a_program_can_go_on(
    name: str, keys: str, monkeypatch: pytest.MonkeyPatch, start_service: StartService, caplog: pytest.LogCaptureFixture
) -> None:
    """It reads and writes, says that it is older, changes no schema, and the newer program goes on after it."""
    await make(name, keys, monkeypatch, {9997: True, 9998: True})
    service = await start_service(database=name, key_file=keys)
    assert "has the newer schema 9998, which this version of postroom" in caplog.text
    admin = await service.login("admin", ADMIN_PASSWORD)
    domain = await admin.make_domain("example.org")
    await admin.make_user(domain, "jane")
    assert (await admin.get(f"/domains/{domain}/users"))["count"] == 1
    findings = [one for one in examine(name, keys) if one.state != State.OK and one.name != "engine"]
    assert {one.message for one in findings} == {f"Not examined: {NEWER.format(9998)}"}
    assert {one.name for one in findings} == {"schema", "additions"}
    assert version(name) == 9998
    await make(name, keys, monkeypatch, {9997: True, 9998: True, 9999: False})
    assert version(name) == 9999
    with pytest.raises(WrongDatabaseError, match="schema 9999"):
        await Database.open(name, key_file=keys)


@pytest.mark.parametrize("name", ENGINES, indirect=True)
async def test_a_migration_while_a_service_runs(
    name: str, keys: str, monkeypatch: pytest.MonkeyPatch, start_service: StartService, caplog: pytest.LogCaptureFixture
) -> None:
    """The service goes on if it may. Otherwise not even the next write is stored, and nothing is shown any more."""
    service = await start_service(database=name, key_file=keys)
    admin = await service.login("admin", ADMIN_PASSWORD)
    await admin.get("/status")
    await make(name, keys, monkeypatch, {9998: True})
    await admin.get("/status")
    await admin.get("/status")
    assert caplog.text.count("has the newer schema 9998, which this version of postroom") == 1
    await admin.make_domain("example.org")

    await make(name, keys, monkeypatch, {9998: True, 9999: False})
    answer = await admin.call("POST", "/system/orgs", {"name": "too late"})
    assert answer.status == 503
    assert answer.body["message"].startswith("A newer version of postroom has migrated the database")
    for method, path in (("GET", "/status"), ("GET", "/system/orgs"), ("PATCH", "/system/domains/1")):
        assert (await admin.call(method, path, {} if method == "PATCH" else None)).status == 503
    assert caplog.text.count("A newer version of postroom has migrated the database") == 1
    with later(monkeypatch, {9998: True, 9999: False}):
        newer = await Database.open(name, key_file=keys)
        assert await newer.fetch_value("SELECT count(*) FROM orgs") == 0
        await newer.close()


@pytest.mark.parametrize("name", ENGINES, indirect=True)
async def test_a_migration_is_noticed_without_a_write(name: str, keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look that a service takes once a second finds it."""
    database = await Database.open(name, key_file=keys)
    await make(name, keys, monkeypatch, {9999: False})
    with pytest.raises(LostDatabaseError, match="newer version of postroom"):
        await database.check()
    for ask in (database.look_up, database.fetch_by_key, database.fetch_all):
        with pytest.raises(LostDatabaseError, match="newer version of postroom"):
            await ask("SELECT 1", ())
    await database.close()


@pytest.mark.parametrize("name", ENGINES, indirect=True)
async def test_one_that_can_go_on_does_not_make_up_for_one_before(
    name: str, keys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever cannot go on after a migration cannot after the next one either."""
    await make(name, keys, monkeypatch, {9997: False, 9998: True})
    with pytest.raises(WrongDatabaseError, match=r"schema 9998; this one knows \d+, and it has to know 9997"):
        await Database.open(name, key_file=keys)


@pytest.mark.parametrize("name", ENGINES, indirect=True)
async def test_without_the_number_nobody_can_go_on(name: str, keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer database that does not say so is refused."""
    await make(name, keys, monkeypatch, {9999: True})
    delete = "DELETE FROM compatibility"
    if is_url(name):
        with open_postgresql(name) as connection:
            run(connection, delete)
    else:
        with open_sqlite(Path(name)) as connection:
            connection.execute(delete)
    with pytest.raises(WrongDatabaseError, match=r"schema 9999; this one knows \d+, and it has to know 9999"):
        await Database.open(name, key_file=keys)


#: Each command that opens a database, {name} and {new} being a database and a file that is not there.
COMMANDS = (
    "serve --port 0 --database {name}",
    "serve --port 0 --workers 2 --database {name}",
    "ldap test --database {name}",
    "key rotate --database {name}",
    "key reset --yes --database {name}",
    "move {name} {new}",
    "migrate --database {name}",
    "migrate --check --database {name}",
    "backup {new} --database {name}",
    "doctor --database {name}",
    "export --seed --database {name}",
)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ENGINES, indirect=True)
async def test_every_command_refuses_what_it_cannot_go_on_with(
    command: str, name: str, keys: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line, with exit code 2, and the database stays as it is."""
    await make(name, keys, monkeypatch, {9999: False})
    done = call(command, name, keys, tmp_path)
    assert done.returncode == 2, done
    assert "it was made by a newer version of postroom (schema 9999; this one knows" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert version(name) == 9999
    assert not (tmp_path / "new.sqlite3").exists()


@pytest.mark.parametrize("name", ENGINES, indirect=True)
async def test_an_examination_refuses_it_too(name: str, keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """This program does not know what is right there."""
    await make(name, keys, monkeypatch, {9999: False})
    with pytest.raises(WrongDatabaseError, match="newer version of postroom"):
        examine(name, keys)


@pytest.mark.parametrize("can_go_on", [False, True])
async def test_a_backup_of_a_newer_schema(
    can_go_on: bool, keys: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is restored if this program can go on with it; otherwise nothing is made of it."""
    backup = tmp_path / "backup.sqlite3"
    await make(str(backup), keys, monkeypatch, {9999: can_go_on})
    done = call(f"restore {backup} --unchecked --database {{new}}", "", keys, tmp_path)
    assert done.returncode == (0 if can_go_on else 2), done
    assert ("newer version of postroom (schema 9999" in done.stderr) == (not can_go_on)
    assert (tmp_path / "new.sqlite3").exists() == can_go_on


@pytest.mark.parametrize(
    ("command", "name"),
    [
        *((command, engine) for command in COMMANDS[3:5] + COMMANDS[6:8] for engine in ENGINES),
        ("backup {new} --database {name}", "sqlite"),
    ],
    indirect=["name"],
)
async def test_commands_go_on(
    command: str, name: str, keys: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What works with tables that it knows works with a newer schema that says so."""
    await make(name, keys, monkeypatch, {9999: True})
    done = call(command, name, keys, tmp_path)
    assert done.returncode == 0, done


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("move {name} {new}", "sqlite"),
        ("move {name} {new}", "postgresql"),
        ("backup {new} --database {name}", "postgresql"),
    ],
    indirect=["name"],
)
async def test_what_copies_rows_has_to_know_every_table(
    command: str, name: str, keys: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would leave out what is new."""
    await make(name, keys, monkeypatch, {9999: True})
    done = call(command, name, keys, tmp_path)
    assert done.returncode == 2
    assert "and it has to know 9999)" in done.stderr
    assert not (tmp_path / "new.sqlite3").exists()


def call(command: str, name: str, keys: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command of postroom."""
    words = [word.format(name=name, new=folder / "new.sqlite3") for word in command.split()]
    environment = {"PATH": os.environ["PATH"], "POSTROOM_KEY_FILE": keys, "POSTROOM_ADMIN_PASSWORD": ADMIN_PASSWORD}
    return subprocess.run(
        [POSTROOM, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
