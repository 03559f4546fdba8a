"""What `postroom doctor` examines besides the database and its files: time, tasks, directories, the machine."""

import asyncio
import contextlib
import os
import shutil
import time
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from postroom.app.config import Config
from postroom.app.services import doctor_machine
from postroom.app.services.doctor import examine_all
from postroom.storage import ldap_configs
from postroom.storage.backups import taking
from postroom.storage.checks import clock, files
from postroom.storage.checks import sqlite as sqlite_checks
from postroom.storage.checks.examine import DATA
from postroom.storage.checks.findings import Finding, State
from postroom.storage.database import Database
from postroom.storage.ldap_configs import LdapConfigRow
from postroom.storage.sqlite import sqlite3
from tests.support.slapd import Slapd, config_document
from tests.support.stores import Store, make_whole

pytestmark = pytest.mark.sqlite

Usage = namedtuple("Usage", "total used free")
LATER = "2999-01-01 00:00:00"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with something in every table."""
    return make_whole(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def store(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A copy of it whose directories are disabled."""
    folder = tmp_path / "data"
    folder.mkdir(0o700)
    for name in [name for name in os.environ if name.startswith("POSTROOM_")]:
        monkeypatch.delenv(name)
    store = Store.copied(whole, folder)
    store.plant("""UPDATE ldap_configs SET document = '{"disabled": true}'""")
    return store


@pytest.fixture
def config(store: Store) -> Config:
    """The settings of an installation with it."""
    return Config(database=store.name)


def found(config: Config, *, offline: bool = False, repair: bool = False) -> dict[str, Finding]:
    """What is not as it should be: name of the check -> finding."""
    findings = examine_all(config, lambda *_: None, offline=offline, repair=repair)
    # The tests may run in memory, and most have no backups.
    tolerated = {"memory"} | ({"newest backup", "usable backups"} if config.backup_folder is None else set())
    return {each.name: each for each in findings if each.state is not State.OK and each.name not in tolerated}


def fill_disk(monkeypatch: pytest.MonkeyPatch, free: int, full: int = 1 << 26) -> None:
    """Leaves so many bytes; below `full` there is no room at all."""
    monkeypatch.setattr(doctor_machine, "FULL", full)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(1 << 40, 1 << 40, free))


def add_task(store: Store, created: datetime, seen: float) -> None:
    """A task that a process on another machine works on, and the last sign of life of that process."""
    store.plant(
        "INSERT INTO tasks (command, state, created, updated, params, pid, node, owner, seen) VALUES "
        f"('ldapSync', 2, '{created:%Y-%m-%d %H:%M:%S}', '2026-01-01 00:00:00', '{{}}', 1, 'far', 'x', {int(seen)})"
    )


FAULTS: list[tuple[str, Callable[[Store, pytest.MonkeyPatch], object]]] = [
    ("clock", lambda store, _: store.plant("UPDATE tasks SET seen = 99999999999 WHERE id = 1")),
    ("clock", lambda store, _: store.plant(f"UPDATE tasks SET updated = '{LATER}' WHERE id = 1")),
    ("clock", lambda store, _: store.plant("UPDATE wipe_history SET time = 99999999999")),
    ("clock", lambda store, _: store.plant("UPDATE sessions SET last_used = 99999999999")),
    ("clock", lambda store, _: store.plant("UPDATE api_tokens SET created = 99999999999")),
    ("clock", lambda store, _: store.plant("UPDATE audit SET id = id + 1000000000000000")),
    ("waiting tasks", lambda store, _: add_task(store, datetime(2026, 1, 1, tzinfo=UTC), time.time())),
    ("abandoned tasks", lambda store, _: add_task(store, datetime.now(UTC), 1)),
    ("disk space", lambda _, patch: fill_disk(patch, 1000, full=0)),
    ("open files", lambda _, patch: patch.setattr(doctor_machine, "raise_descriptor_limit", lambda: 64)),
    ("unknown settings", lambda _, patch: patch.setenv("POSTROOM_DATABSE", "x")),
]
#: They have tests of their own below.
OTHERWISE = {"full disk", "log", "directory servers", "newest backup", "usable backups"}


def test_nothing_is_wrong_with_an_installation(config: Config) -> None:
    """A whole store on this machine passes every check."""
    assert found(config) == {}


@pytest.mark.parametrize(("name", "make"), FAULTS)
def test_each_fault_is_found(
    name: str, make: Callable[[Store, pytest.MonkeyPatch], object], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each check finds its fault, and no other does."""
    make(store, monkeypatch)
    assert found(Config(database=store.name)).keys() == {name}


def test_each_check_has_a_fault(config: Config) -> None:
    """No check without a test that it finds something; other files have those of the database and its files."""
    others = {check.name for check in (*sqlite_checks.CHECKS, *sqlite_checks.SEARCH, *DATA, *files.CHECKS)}
    names = {each.name for each in examine_all(config, lambda *_: None, offline=False, repair=False)}
    assert names - others == {name for name, _ in FAULTS} | OTHERWISE


def grow(path: Path) -> None:
    """A database that needs more room than there is: the rest of the file is a hole."""
    with path.with_name(f"{path.name}-wal").open("wb") as file:
        file.truncate(65 << 20)
    path.with_name(f"{path.name}-wal").chmod(0o600)


def test_a_disk_that_is_full(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes will fail soon: that is wrong, and no mere warning."""
    fill_disk(monkeypatch, 1 << 20)
    assert found(config)["full disk"].state is State.WRONG


def test_a_log_that_grows(config: Config) -> None:
    """Nobody can write it into the database while somebody reads without an end."""
    grow(Path(config.database))
    assert found(config).keys() == {"log"}


def test_the_clock_goes_on() -> None:
    """What is stored while the checks before it take minutes is not in the future."""
    asked: list[int] = []

    def present() -> clock.Now:
        asked.append(1)
        return clock.Now(0, "", "")

    clock.checks(present)
    assert asked == []


def test_tasks_of_processes_that_are_gone(store: Store, config: Config) -> None:
    """A repair marks them as interrupted, as a service does."""
    add_task(store, datetime.now(UTC), 1)
    assert found(config, repair=True) == {}
    with contextlib.closing(sqlite3.connect(store.name)) as connection:
        (state, message) = connection.execute("SELECT state, message FROM tasks ORDER BY id DESC").fetchone()
    assert (state, message.partition(":")[0]) == (4, "Interrupted")


def test_the_time_zone(store: Store, config: Config) -> None:
    """Times without a zone are those of the configured one."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    store.plant(f"UPDATE tasks SET updated = '{now}' WHERE id = 1")
    assert found(config) == {}
    assert found(replace(config, timezone=ZoneInfo("America/New_York"))).keys() == {"clock"}


# Backups.


def take_backup(config: Config) -> Path:
    """Takes a backup into the folder of the schedule."""
    place = Path(config.backup_folder or "")
    place.mkdir(0o700, exist_ok=True)
    return taking.take(taking.Order(config.database, place), lambda *_: None).path


def test_backups(config: Config, tmp_path: Path) -> None:
    """There should be one that is not older than two intervals, and none that is damaged."""
    config = replace(config, backup_folder=str(tmp_path / "backups"))
    assert "No such file" in found(config)["newest backup"].message
    backup = take_backup(config)
    assert found(config) == {}
    assert found(replace(config, backup_every=timedelta(microseconds=1))).keys() == {"newest backup"}
    backup.write_bytes(backup.read_bytes()[:-1])
    assert found(config).keys() == {"newest backup", "usable backups"}


def test_no_schedule_of_backups(config: Config) -> None:
    """Whoever has none is reminded of it."""
    findings = {each.name: each for each in examine_all(config, lambda *_: None, offline=True, repair=False)}
    assert findings["newest backup"].state is State.WARNING
    assert "POSTROOM_BACKUP_FOLDER is not set" in findings["newest backup"].message


# Directories.


def configure(store: Store, document: dict[str, Any]) -> None:
    """The directory of everybody."""
    connection = dict(document["connection"])
    row = LdapConfigRow({**document, "connection": connection}, connection.pop("bindPass", None))

    async def write() -> None:
        database = await Database.open(store.name, create=False)
        try:
            await database.write(ldap_configs.set_ldap_config, None, row)
        finally:
            await database.close()

    store.plant("DELETE FROM ldap_configs")
    asyncio.run(write())


@pytest.mark.slapd
def test_every_server_has_to_answer(store: Store, config: Config) -> None:
    """Each server of each directory is asked by itself; one that is away is named, though the next one works."""
    with Slapd() as server:
        document = config_document(server)
        document["connection"]["server"] = f"{server.url} ldap://127.0.0.1:9"
        configure(store, document)
        directories = found(config)["directory servers"]
        assert (directories.state, directories.count) == (State.WARNING, 1)
        assert "ldap://127.0.0.1:9" in directories.examples[0]
        assert found(config, offline=True) == {}


@pytest.mark.slapd
def test_a_server_that_hangs(store: Store, config: Config) -> None:
    """It takes as long as a request to a directory may."""
    with Slapd() as server:
        configure(store, config_document(server))
        assert found(config) == {}
        server.pause()
        try:
            assert found(replace(config, ldap_timeout=0.5)).keys() == {"directory servers"}
        finally:
            server.resume()


def test_a_directory_whose_password_is_lost(store: Store, config: Config) -> None:
    """It cannot be asked, and no secret is shown."""
    configure(store, {"connection": {"server": "ldap://127.0.0.1:9", "bindUser": "cn=x"}, "baseDn": "dc=x"})
    store.plant("UPDATE ldap_configs SET bind_pass = 'sealed:0000000000000000:c2VjcmV0'")
    directories = found(config)["directory servers"]
    assert directories.examples == ("the default directory: its password cannot be decrypted",)
    assert "c2VjcmV0" not in repr(found(config))


def test_a_configuration_that_lacks_something(store: Store, config: Config) -> None:
    """What the service could not use is named."""
    configure(store, {"connection": {}})
    assert "lacks" in found(config)["directory servers"].examples[0]
