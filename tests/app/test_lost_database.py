"""A database that is deleted or replaced under the running service: nothing is acknowledged that nobody will find."""

import asyncio
import logging
import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from postroom.app.routes import ROUTES
from postroom.storage.database import Database
from postroom.storage.faults import LostDatabaseError
from postroom.storage.sqlite import sqlite3
from tests.support.service import ADMIN_PASSWORD, Api, Service, assert_failure

StartService = Callable[..., Awaitable[Service]]

GONE = "has been removed or cannot be reached"
OTHER = "has been replaced while postroom was running"


def removed(path: Path) -> None:
    """The file is deleted."""
    path.unlink()


def removed_with_its_folder(path: Path) -> None:
    """The folder is deleted with all that is in it."""
    shutil.rmtree(path.parent)


def folder_renamed(path: Path) -> None:
    """The folder gets another name."""
    path.parent.rename(path.parent.with_name("elsewhere"))


def replaced_by_a_copy(path: Path) -> None:
    """A copy takes the place of the file, as a restore does."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(path.with_name("copy"))) as copy:
        source.backup(copy)
    path.with_name("copy").rename(path)


def replaced_by_nothing(path: Path) -> None:
    """An empty file takes its place."""
    path.unlink()
    path.touch()


def log_removed(path: Path) -> None:
    """The write-ahead log is deleted."""
    path.with_name(f"{path.name}-wal").unlink()


def log_replaced(path: Path) -> None:
    """Another file takes the place of the write-ahead log."""
    path.with_name("new").touch()
    path.with_name("new").rename(path.with_name(f"{path.name}-wal"))


def shared_memory_removed(path: Path) -> None:
    """The file is deleted by which processes agree on locks."""
    path.with_name(f"{path.name}-shm").unlink()


WAYS: dict[Callable[[Path], None], str] = {
    removed: GONE,
    removed_with_its_folder: GONE,
    folder_renamed: GONE,
    replaced_by_a_copy: OTHER,
    replaced_by_nothing: OTHER,
    log_removed: GONE,
    log_replaced: OTHER,
    shared_memory_removed: GONE,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is."""
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder" / "store.sqlite3"


@pytest.fixture
async def stored(start_service: StartService, path: Path) -> Service:
    """A service on it."""
    return await start_service(database=str(path))


@pytest.fixture
async def root(stored: Service) -> Api:
    """Its API, logged in as the administrator."""
    return await stored.login("admin", ADMIN_PASSWORD)


def contents(path: Path) -> bytes:
    """The bytes of a file."""
    return path.read_bytes()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log has of trouble."""
    assert "Traceback" not in caplog.text
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def until_lost(root: Api) -> None:
    """Waits until the watch has seen it; it looks once a second."""
    for _ in range(400):
        if (await root.call("GET", "/system/orgs")).status == 503:
            return
        await asyncio.sleep(0.05)
    raise TimeoutError


@pytest.mark.parametrize("lose", WAYS, ids=lambda lose: lose.__name__)
async def test_nothing_is_acknowledged(
    path: Path, root: Api, lose: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """The very next write is a 503 that says what has happened, and names no path; the log has one line."""
    await root.make_domain("example.org")
    lose(path)
    for number in range(20):
        answer = await root.call("POST", "/system/orgs", {"name": f"org {number}"})
        assert answer.status == 503, answer.body
        assert_failure(answer)
        assert WAYS[lose] in answer.body["message"]
        assert "folder" not in answer.body["message"]
        assert "store" not in answer.body["message"]
    # Once it is known, nothing is read of it either.
    for url in ("/status", "/system/orgs", "/system/domains/1", "/domains/1/users", "/domains/1/users/1"):
        assert (await root.call("GET", url)).status == 503, url
    login = await root.service.api.call("POST", "/login", {"user": "admin", "pass": ADMIN_PASSWORD})
    assert login.status == 503
    (line,) = lines(caplog)
    assert str(path) in line


@pytest.mark.parametrize("lose", WAYS, ids=lambda lose: lose.__name__)
async def test_status_knows_at_once(path: Path, root: Api, lose: Callable[[Path], None]) -> None:
    """Whoever watches the service is told before anybody has written."""
    lose(path)
    answer = await root.call("GET", "/status")
    assert answer.status == 503
    assert WAYS[lose] in answer.body["message"]


async def test_reads_know_without_a_write(path: Path, root: Api, caplog: pytest.LogCaptureFixture) -> None:
    """A service that is only read from notices by itself, soon."""
    removed(path)
    await until_lost(root)
    assert len(lines(caplog)) == 1


async def test_no_operation_succeeds(path: Path, root: Api, caplog: pytest.LogCaptureFixture) -> None:
    """Of the whole table nothing that changes something answers a success, and nothing is a 500."""
    await root.make_domain("example.org")
    removed(path)
    assert (await root.call("GET", "/status")).status == 503
    for route in ROUTES:
        url = route.path.format(domainID=1, userID=0, ID=1, username="admin", deviceID="phone", sessionID="x", name="x")
        body = {"PUT": {"new": "a new password"}, "POST": {"user": "admin", "pass": "x", "name": "x"}, "PATCH": {}}
        answer = await root.call(
            route.method, f"{url}?domain=1&ID=x&query=abc&properties=comment", body.get(route.method)
        )
        assert answer.status != 500, (route, answer.body)
        # The queue of tasks is in memory alone.
        if route.method != "GET" and not route.path.startswith("/tasq/st"):
            assert answer.status >= 400, (route, answer.body)
    assert len(lines(caplog)) == 1


@pytest.mark.parametrize("lose", [folder_renamed, removed, log_removed], ids=lambda lose: lose.__name__)
async def test_it_comes_back(
    path: Path, root: Api, lose: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """When the same files are back in their places, the service goes on with them, and says so once."""
    await root.make_domain("example.org")
    kept = [path.with_name(f"kept{end}") for end in ("", "-wal")]
    for name, kept_name in zip((path, path.with_name(f"{path.name}-wal")), kept, strict=True):
        os.link(name, kept_name)
    lose(path)
    assert (await root.call("POST", "/system/orgs", {"name": "Acme"})).status == 503
    if lose is folder_renamed:
        path.parent.with_name("elsewhere").rename(path.parent)
    else:
        for name, kept_name in zip((path, path.with_name(f"{path.name}-wal")), kept, strict=True):
            kept_name.replace(name)
    await root.get("/status")
    await root.post("/system/orgs", {"name": "Again"})
    assert (await root.get("/system/domains"))["count"] == 1
    lost, back = lines(caplog)
    assert "is lost" in lost
    assert "is back" in back


async def test_what_was_acknowledged_survives_a_lost_log(path: Path) -> None:
    """Without the write-ahead log, an orderly stop brings into the file what was acknowledged before."""
    database = await Database.open(str(path))
    await database.write(lambda c: c.execute("INSERT INTO settings VALUES ('kept', 'x')").close())
    log_removed(path)
    with pytest.raises(LostDatabaseError):
        await database.write(lambda c: c.execute("INSERT INTO settings VALUES ('refused', 'x')").close())
    await database.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM settings").fetchall() == [("kept",)]


def unmount(device: Path) -> None:
    """Takes a file system away, whoever uses it."""
    subprocess.run(["umount", "-l", device], capture_output=True, check=False)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Path]:
    """A device of its own, where this process may mount one."""
    at = tmp_path / "device"
    at.mkdir()
    try:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", at], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    yield at
    unmount(at)


async def test_a_device_that_is_gone(
    start_service: StartService, device: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file system that is taken away under the service is the same as a file that is."""
    service = await start_service(database=str(device / "store.sqlite3"))
    root = await service.login("admin", ADMIN_PASSWORD)
    await root.make_domain("example.org")
    await asyncio.to_thread(unmount, device)
    assert GONE in await root.refused(503, "POST", "/system/orgs", {"name": "Acme"})
    assert GONE in await root.refused(503, "GET", "/status")
    assert len(lines(caplog)) == 1


async def test_a_replaced_database_is_left_alone(start_service: StartService, path: Path) -> None:
    """What lies in the place of the file is neither read nor written, also at the end of the service."""
    service = await start_service(database=str(path))
    root = await service.login("admin", ADMIN_PASSWORD)
    replaced_by_a_copy(path)
    before = contents(path)
    for number in range(5):
        await root.refused(503, "POST", "/system/orgs", {"name": f"org {number}"})
    await service.context.database.close()
    assert contents(path) == before
