"""Databases of every earlier schema, made by the postroom of their time, become current ones that show the same."""

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from postroom.storage import migrations
from postroom.storage.checks.examine import examine
from postroom.storage.checks.findings import State
from postroom.storage.connections import connect_plain, uri_of
from postroom.storage.database import Database
from postroom.storage.keyring import Keyring
from postroom.storage.migrations import latest, migrate
from postroom.storage.moving.mover import move
from postroom.storage.moving.stores import MoveError
from postroom.storage.postgresql.migrating import latest as latest_of_postgresql
from postroom.storage.sqlite import sqlite3
from postroom.storage.urls import is_url
from tests.conftest import StartService
from tests.support.kept_schemas import JANE, PASSWORD, Kept, kept
from tests.support.postgresql import PostgreSQL, programs

pytestmark = [pytest.mark.postgresql, pytest.mark.sqlite, pytest.mark.genuine]

#: What a document of an old schema may show otherwise: the last SQLite schema before the change, where, and why.
DIFFERENT: Final = (
    (17, r"/system/domains(/1|/2|\?level=2) (data\.\[\]\.)?selfService", "what users may change of their own is shown"),
    (999, r"/ldap ldapAvailable", "the directory of that time has gone"),
    (2, r"/ldap data\.(enableContacts|groups|users\.(altname|contactFilter|filters))", "all settings are shown"),
    (2, r"/defaults/createParams data\.user\.\w+", "what a new user really gets is shown"),
    (1, r"/users(/4|\?.*)? (data\.\[\]\.)?username", "a contact is called without its domain"),
    (1, r"/domains/1/users\?match=e (count|data)", "such a name has no e"),
    (1, r"/users/4/(oof|storeAccess) .*", "a contact has no store"),
)

SQLITE: Final = kept("sqlite")
POSTGRESQL: Final = kept("postgresql")


def differences(before: Any, after: Any, where: str = "") -> Iterator[str]:
    """The places where two documents differ, such as `data.[].username`."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before.keys() | after.keys():
            yield from differences(before.get(name, ...), after.get(name, ...), f"{where}.{name}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for one, other in zip(before, after, strict=True):
            yield from differences(one, other, f"{where}.[]")
    elif before != after:
        yield where.removeprefix(".")


def test_differences() -> None:
    """What is more, less, or other."""
    before = {"a": 1, "b": [1, 2], "c": {"d": 1, "e": None}, "f": [1]}
    after = {"a": 1, "b": [1, 3], "c": {"d": 1, "g": None}, "f": []}
    assert sorted(differences(before, after)) == ["b.[]", "c.e", "c.g", "f"]


async def look_at(start_service: StartService, old: Kept, schema: int, **settings: Any) -> None:
    """Starts a service on an old database, compares what it shows with what was shown, and writes."""
    service = await start_service(admin_password=None, **settings)
    admin = await service.login("admin", PASSWORD)
    found = set()
    for path, before in old.documents.items():
        after = (await admin.call("GET", path)).body
        found |= {f"{path} {where}" for where in differences(before, after)}
    patterns = [pattern for last, pattern, _ in DIFFERENT if schema <= last]
    assert [one for one in sorted(found) if not any(re.search(f"{pattern}$", one) for pattern in patterns)] == []
    assert [pattern for pattern in patterns if not any(re.search(f"{pattern}$", one) for one in found)] == []
    await service.login(JANE, PASSWORD)
    await admin.patch("/domains/1/users/1", {"properties": {"displayname": "Jane Ürgen"}})
    assert (await admin.get("/domains/1/users?match=ürgen&matchProps=displayname"))["count"] == 1
    new = await admin.make_user(1, "new")
    assert new["ID"] > max(user["ID"] for user in old.documents["/system/users?level=2"]["data"])


def check(name: str, key_file: str | None = None) -> None:
    """All checks of postroom find nothing; a server of the tests does not wait for the disk."""
    findings = examine(name, key_file)
    assert [one for one in findings if one.state != State.OK and (one.name, is_url(name)) != ("engine", True)] == []


def schema_of(file: Path) -> set[tuple[str, str, str]]:
    """(kind, name, SQL without its layout) of everything in a file."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_schema").fetchall()
    return {(kind, name, " ".join(sql.split())) for kind, name, sql in rows if not name.startswith("sqlite_stat")}


def check_file(file: Path) -> None:
    """The schema is that of a new file, and nothing is wrong."""
    fresh = file.with_name("fresh.sqlite3")
    with contextlib.closing(connect_plain(uri_of(str(fresh)), Keyring(None))) as connection:
        migrate(connection, lambda _version: None)
    assert schema_of(file) == schema_of(fresh)
    with contextlib.closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (latest(),)
    check(str(file))


@pytest.mark.parametrize("old", SQLITE, ids=lambda old: old.stem)
async def test_an_old_file(old: Kept, tmp_path: Path, start_service: StartService) -> None:
    """The service brings it up to date, and shows what was shown before."""
    file = tmp_path / "postroom.sqlite3"
    old.put_file(file)
    await look_at(start_service, old, old.schema, database=str(file))
    check_file(file)
    assert (tmp_path / f"postroom.sqlite3.schema-{old.schema}.backup").exists() == (old.schema < latest())


def _never_newest() -> list[int]:
    """The schemas that no program has ever left behind, because another migration came along."""
    return sorted({migration.number for migration in migrations.migrations()} - {old.schema for old in SQLITE})


@pytest.mark.parametrize("number", _never_newest())
async def test_an_old_file_of_a_schema_in_between(
    number: int, tmp_path: Path, start_service: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each migration goes on from what the one before has left, also after a commit in between."""
    file, known = tmp_path / "postroom.sqlite3", migrations.migrations()
    old = [one for one in SQLITE if one.schema < number][-1]
    old.put_file(file)
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "migrations", lambda: tuple(one for one in known if one.number <= number))
        with contextlib.closing(connect_plain(uri_of(str(file)), Keyring(None))) as connection:
            migrate(connection, lambda _version: None)
    await look_at(start_service, old, old.schema, database=str(file))
    check_file(file)


def test_the_newest_schema_is_kept() -> None:
    """Who adds a migration keeps a database with it, so that the next migration is tried on one."""
    how = "run: python -m tests.support.kept_schemas"
    assert SQLITE[-1].schema == latest(), how
    assert POSTGRESQL[-1].schema == latest_of_postgresql(), how


@pytest.fixture
def restored(postgresql_server: PostgreSQL, tmp_path: Path) -> Any:
    """Makes an old database on the server, and its key file; both names."""

    def restore(old: Kept) -> tuple[str, str]:
        url = postgresql_server.url(postgresql_server.make_database(old.script()))
        old.put_key(tmp_path / "keys")
        return url, str(tmp_path / "keys")

    return restore


def postgresql_schema_of(url: str) -> str:
    """What pg_dump says of the schema."""
    options = ("--schema-only", "--no-owner", "--no-privileges", "--no-comments")
    done = subprocess.run([programs() / "pg_dump", *options, url], capture_output=True, check=True)
    return re.sub(r"(?m)^\\.*\n|^--.*\n|^\n", "", done.stdout.decode())


@pytest.mark.parametrize("old", POSTGRESQL, ids=lambda old: old.stem)
async def test_an_old_database_on_a_server(
    old: Kept, restored: Any, start_service: StartService, postgresql_url: str
) -> None:
    """The same on PostgreSQL. Its first schema came when SQLite had its eleventh, so its numbers are ten less."""
    url, keys = restored(old)
    await look_at(start_service, old, old.schema + 10, database=url, key_file=keys)
    assert postgresql_schema_of(url) == postgresql_schema_of(postgresql_url)
    check(url, keys)


@pytest.mark.parametrize("old", [*SQLITE[:-1], *POSTGRESQL[:-1]], ids=lambda old: old.stem)
def test_an_old_database_is_not_moved(old: Kept, restored: Any, tmp_path: Path) -> None:
    """The service brings it up to date first; nothing is left of the target."""
    source, keys = str(tmp_path / "postroom.sqlite3"), str(tmp_path / "keys")
    if old.engine == "sqlite":
        old.put_file(Path(source))
    else:
        source, keys = restored(old)
    target = tmp_path / "target.sqlite3"
    with pytest.raises(MoveError if old.engine == "sqlite" else Exception, match=r"older version of postroom"):
        move(source, str(target), keys, lambda *_: None)
    assert not target.exists()
    assert not list(tmp_path.glob("target*"))


async def test_without_create_an_old_database_stays_as_it_is(restored: Any) -> None:
    """A command says what to do."""
    url, keys = restored(POSTGRESQL[0])
    with pytest.raises(Exception, match=r"older version of postroom \(schema 1, "):
        await Database.open(url, create=False, key_file=keys)
