"""postroom migrate: what it says of an upgrade, and an upgrade without the service."""

import contextlib
import json
import os
import pwd
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from postroom.storage import migrations, upgrading
from postroom.storage.database import Database
from postroom.storage.faults import DatabaseError
from postroom.storage.postgresql import migrating
from postroom.storage.sqlite import sqlite3
from tests.app.test_cli import POSTROOM, serving
from tests.storage.test_newer_schemas import later, make, version
from tests.support.kept_schemas import Kept
from tests.support.postgresql import PostgreSQL

pytestmark = [pytest.mark.postgresql, pytest.mark.sqlite, pytest.mark.genuine]

OLD = Kept("sqlite", 11)
NAME = "postroom.sqlite3"
LATEST = migrations.latest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database of schema 11."""
    OLD.put_file(tmp_path / NAME)
    return tmp_path / NAME


@pytest.fixture
def on_server(postgresql_server: PostgreSQL, tmp_path: Path) -> str:
    """A database of schema 1 on a server, with its keys in `keys`."""
    old = Kept("postgresql", 1)
    old.put_key(tmp_path / "keys")
    return postgresql_server.url(postgresql_server.make_database(old.script()))


def call(
    folder: Path, *arguments: str, command: tuple[str | Path, ...] = (POSTROOM,), code: int = 0, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Runs the command; it has to end with that code, and never with a traceback."""
    key = str(folder / "keys") if (folder / "keys").exists() else ""
    done = subprocess.run(
        [*command, "migrate", *arguments], cwd=folder, env={"PATH": os.environ["PATH"], "POSTROOM_KEY_FILE": key},
        capture_output=True, text=True, check=False, timeout=60, **options,
    )  # fmt: skip
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    return done


def contents(path: Path) -> dict[str, list[Any]]:
    """Every row of every table that can be read without functions of postroom."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '%search%'")
        return {table: connection.execute(f"SELECT * FROM {table}").fetchall() for (table,) in rows.fetchall()}


def test_what_would_be_done(file: Path) -> None:
    """Schemas, migrations, time and room; exit code 1; nothing is changed, and nothing is left beside the file."""
    before, beside = file.read_bytes(), sorted(file.parent.iterdir())
    text = call(file.parent, "--check", code=1).stdout
    assert f"has schema 11, and this version of postroom {LATEST}." in text
    assert "takes a moment" in text
    assert "  0012_display_types.sql\n" in text
    assert "for a copy of the file, up to" in text
    document = json.loads(call(file.parent, "--check", "--json", code=1).stdout)
    data = document["data"]
    assert document["message"] == text.splitlines()[0]
    assert (data["database"], data["schema"], data["latest"], data["oldest"]) == (NAME, 11, LATEST, migrations.oldest())
    assert data["pending"] == [each.name for each in migrations.migrations() if each.number > 11]
    assert data["size"] == data["copy"] == file.stat().st_size
    assert data["change"] > data["copy"]
    assert data["free"] > data["change"]
    assert data["seconds"] > 0
    assert file.read_bytes() == before
    assert sorted(file.parent.iterdir()) == beside


def test_the_room_is_asked_for(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room for the copy the outlook says how much is missing, and the upgrade does not begin."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(0, 0, 1000))
    outlook = upgrading.look(str(file))
    assert outlook.lack == file.stat().st_size - 1000
    with pytest.raises(DatabaseError, match=r"no room for a copy of .*: [\d,]+ bytes are missing"):
        upgrading.upgrade(str(file), None, outlook)
    assert version(str(file)) == 11


def test_the_time_goes_with_the_size_and_the_migrations() -> None:
    """Of a GiB: the copy and each migration; nothing where there is nothing to do."""
    gib = 1 << 30

    def seconds(*pending: str, free: int | None = gib) -> float:
        return upgrading.Outlook(1, 2, pending, 2, gib, free).seconds

    assert seconds() == 0
    assert seconds("0099_small.sql") == 3
    assert seconds("0099_small.sql", free=None) == 1
    assert seconds("0003_bounds.sql", "0011_user_search.sql") == 103
    assert set(upgrading._SLOW) <= {migration.name for migration in migrations.migrations()}


def test_an_upgrade(file: Path) -> None:
    """The file is up to date, the copy is named, and a second time nothing is done."""
    before = contents(file)
    copy = file.with_name(f"{NAME}.schema-11.backup")
    text = call(file.parent).stdout
    assert f"Upgraded from schema 11 to {LATEST}." in text
    assert str(copy) in text
    assert version(str(file)) == LATEST
    assert (version(str(copy)), contents(copy)) == (11, before)
    assert "up to date" in call(file.parent).stdout
    assert call(file.parent, "--check").stdout == f"The database is up to date: schema {LATEST}.\n"
    assert json.loads(call(file.parent, "--json").stdout)["data"]["copy"] is None
    assert {path.name for path in file.parent.iterdir()} == {NAME, copy.name, f"{NAME}.key"}
    with serving(file.parent) as running:
        assert running.stop() == 0


def test_secrets_of_an_old_schema_are_encrypted(tmp_path: Path) -> None:
    """As the service does: what was stored in plain text is encrypted after the migration."""
    Kept("sqlite", 6).put_file(tmp_path / NAME)
    document = json.loads(call(tmp_path, "--json").stdout)
    assert document["data"]["copy"] == str(tmp_path / f"{NAME}.schema-6.backup")
    assert (tmp_path / f"{NAME}.key").stat().st_mode & 0o777 == 0o600
    with contextlib.closing(sqlite3.connect(tmp_path / NAME)) as connection:
        (secret,) = connection.execute("SELECT src_password FROM fetchmail LIMIT 1").fetchone()
    assert "elsewhere" not in secret


def test_on_a_server(on_server: str, tmp_path: Path) -> None:
    """The same without a copy, as the page says; while a service has a session it is refused."""
    text = call(tmp_path, "--check", "--database", on_server, code=1).stdout
    assert "has schema 1, and this version of postroom" in text
    assert "A server gets no copy: make one with pg_dump first." in text
    assert version(on_server) == 1
    document = json.loads(call(tmp_path, "--json", "--database", on_server).stdout)
    assert document["data"]["copy"] is None
    assert version(on_server) == migrating.latest()
    assert "up to date" in call(tmp_path, "--check", "--database", on_server).stdout


HOLD = """
    import sys
    from postroom.storage.sqlite import sqlite3
    from postroom.storage.urls import is_url
    if is_url(sys.argv[1]):
        from postroom.storage.keyring import Keyring
        from postroom.storage.postgresql.opening import connect
        connection = connect(sys.argv[1], Keyring(None))
    else:
        connection = sqlite3.connect(sys.argv[1])
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("SELECT count(*) FROM users").fetchall()
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def program(code: str, *arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Another Python process, which is killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_service_that_cannot_go_on_has_to_be_stopped(
    engine: str, file: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """While another process has the database open, it is refused and stays as it is."""
    name = str(file) if engine == "sqlite" else request.getfixturevalue("on_server")
    before = version(name)
    with program(HOLD, name) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert "stop the service first" in call(tmp_path, "--database", name, code=3).stderr
        call(tmp_path, "--check", "--database", name, code=1)
        assert version(name) == before
    call(tmp_path, "--database", name)


async def test_a_service_that_can_go_on_may_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on reading and writing after the migration."""
    name, keys = str(tmp_path / NAME), str(tmp_path / "keys")
    running = await Database.open(name, key_file=keys)
    try:
        with later(monkeypatch, {9999: True}):
            outlook = upgrading.look(name)
            assert (outlook.oldest, outlook.pending) == (LATEST, ["9999_mood.sql"])
            copy = upgrading.upgrade(name, keys, outlook)
        assert copy is not None
        assert version(str(copy)) == LATEST
        await running.write(lambda c: c.execute("INSERT INTO settings VALUES ('a', 'b')").close())
        assert await running.fetch_value("SELECT value FROM settings WHERE name = 'a'") == "b"
    finally:
        await running.close()


async def test_a_newer_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that this program can go on with is nothing to be done; another is refused."""
    await make(str(tmp_path / NAME), str(tmp_path / "keys"), monkeypatch, {9998: True})
    for options in ([], ["--check"]):
        assert "the newer schema 9998, which this version" in call(tmp_path, *options).stdout
    document = json.loads(call(tmp_path, "--check", "--json").stdout)
    assert (document["data"]["schema"], document["data"]["oldest"], document["data"]["pending"]) == (9998, LATEST, [])
    await make(str(tmp_path / NAME), str(tmp_path / "keys"), monkeypatch, {9998: True, 9999: False})
    for options in ([], ["--check"]):
        assert "made by a newer version of postroom (schema 9999;" in call(tmp_path, *options, code=2).stderr
    assert version(str(tmp_path / NAME)) == 9999


def test_what_is_refused(tmp_path: Path) -> None:
    """No file, an empty one, a folder, one of something else, one in memory; nothing is made of any."""
    (tmp_path / "empty").touch()
    (tmp_path / "keys").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "letter").write_text("Dear postroom,\n" * 100)
    with contextlib.closing(sqlite3.connect(tmp_path / "other")) as connection:
        connection.execute("CREATE TABLE things (name TEXT)")
    before = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    for name, reason, code in (
        ("nothing", "There is no database nothing", 2), ("empty", "there is nothing in it", 2), ("folder", "folder", 3),
        ("letter", "file is not a database", 3), ("other", "something else", 2), (":memory:", "in memory", 2),
        ("postgresql://127.0.0.1:1/x", "postgresql://127.0.0.1:1/x", 3), ("mysql://x", "postgresql://", 2),
    ):  # fmt: skip
        for options in ([], ["--check"]):
            done = call(tmp_path, *options, "--database", name, code=code)
            assert reason in done.stderr
            assert len(done.stderr.splitlines()) == 1
            assert json.loads(call(tmp_path, *options, "--json", "--database", name, code=code).stdout)["data"] is None
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == before


#: The command with a further migration, which pauses before its end.
PAUSED = """
    import sys, time
    from postroom.storage import migrations
    from postroom.storage.postgresql import migrating
    from postroom.storage.sqlite import sqlite3
    {change}
    from postroom.app.cli.main import app
    app()
"""
ON_SQLITE = """
    script = "DELETE FROM properties; UPDATE domains SET title = 'half';"
    known = migrations.migrations()
    migrations.migrations = lambda: (*known, migrations.Migration(9998, "9998_slow.sql", script))
    plain = sqlite3.connect

    def connect(*args, **options):
        connection = plain(*args, **options)
        # Everything that was changed is forced out of the cache into the log before the pause.
        connection.execute("PRAGMA cache_size = 1")
        return connection

    sqlite3.connect = connect
    migrations._check_references = lambda _connection: print("half", flush=True) or time.sleep(60)
"""
ON_SERVER = """
    known = dict(migrating._scripts())
    migrating._scripts = lambda: {**known, 9998: "DELETE FROM properties; UPDATE domains SET title = 'half'"}
    real = migrating.oldest
    migrating.oldest = lambda: (print("half", flush=True), time.sleep(60)) and real()
"""


def wrapped(change: str) -> str:
    """The program of PAUSED with this change."""
    return textwrap.dedent(PAUSED).replace("{change}", textwrap.dedent(change))


def test_killed_in_the_middle(file: Path) -> None:
    """The old database is intact, and the next attempt does it, with one copy."""
    before = contents(file)
    with program(wrapped(ON_SQLITE), "migrate", cwd=file.parent) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        assert (file.parent / f"{NAME}-wal").stat().st_size > 0
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (version(str(file)), contents(file)) == (11, before)
    # As if it had been killed while it wrote the copy.
    file.with_name(f"{NAME}.backup.part").write_text("half")
    call(file.parent)
    assert version(str(file)) == LATEST
    names = {path.name for path in file.parent.iterdir()}
    assert names == {NAME, f"{NAME}.key", f"{NAME}.schema-11.backup"}


def test_killed_in_the_middle_on_a_server(on_server: str, tmp_path: Path) -> None:
    """The server rolls back what it was told."""
    environment = {**os.environ, "POSTROOM_KEY_FILE": str(tmp_path / "keys"), "POSTROOM_DATABASE": on_server}
    with program(wrapped(ON_SERVER), "migrate", cwd=tmp_path, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert version(on_server) == 1
    call(tmp_path, "--database", on_server)
    assert version(on_server) == migrating.latest()


@pytest.mark.parametrize(
    ("room", "reason"),
    [
        pytest.param(lambda size: size // 2, "no copy of it could be written, so it was left as it is", id="copy"),
        pytest.param(lambda size: size + 4096, "disk I/O error", id="migration"),
    ],
)
def test_without_room(tmp_path: Path, room: Callable[[int], int], reason: str) -> None:
    """When a file cannot grow, be it the copy or the log of the migration, the database is as it was."""
    file = tmp_path / NAME
    Kept("sqlite", 1).put_file(file)
    before, limit = contents(file), room(file.stat().st_size)

    def limit_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = call(tmp_path, code=3, preexec_fn=limit_files)
    assert reason in done.stderr
    assert (version(str(file)), contents(file)) == (1, before)
    assert not list(tmp_path.glob("*.part"))
    call(tmp_path)
    assert len(list(tmp_path.glob("*.backup"))) == 1


def test_interrupted(file: Path) -> None:
    """SIGTERM rolls it back, like Ctrl-C."""
    before = contents(file)
    with program(wrapped(ON_SQLITE), "migrate", cwd=file.parent, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 130
        assert "Interrupted." in process.stderr.read()
    assert (version(str(file)), contents(file)) == (11, before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_is_for_the_owner_of_the_database(tmp_path: Path) -> None:
    """The copy and the key file belong to whoever the service runs as."""
    nobody = pwd.getpwnam("nobody")
    Kept("sqlite", 6).put_file(tmp_path / NAME)
    os.chown(tmp_path / NAME, nobody.pw_uid, nobody.pw_gid)
    call(tmp_path)
    assert {path.stat().st_uid for path in tmp_path.iterdir()} == {nobody.pw_uid}
    assert {path.name for path in tmp_path.iterdir()} == {NAME, f"{NAME}.key", f"{NAME}.schema-6.backup"}
