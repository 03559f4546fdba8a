"""Backups that the service takes by itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from postroom.app.config import Config
from postroom.app.services import backups
from postroom.app.services.backups import Backups, is_due
from postroom.storage.backups import folder
from postroom.storage.database import Database
from tests.app.test_cli import serving
from tests.conftest import StartService
from tests.support.backups import names, rewrite, verified
from tests.support.service import ADMIN_PASSWORD, Api, Service
from tests.support.waiting import until

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """An empty folder."""
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups"


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Services look all the time, and try again at once."""
    monkeypatch.setattr(backups, "LOOK", 0.01)
    monkeypatch.setattr(backups, "RETRY", timedelta(0))


@asynccontextmanager
async def scheduled(config: Config) -> AsyncIterator[Backups]:
    """A schedule of a process that does nothing else."""
    database = await Database.open(config.database, key_file=config.key_file)
    found = Backups(database, config)
    try:
        yield found
    finally:
        await found.close()
        await database.close()


def taken(target: Path) -> list[str]:
    """The names of the backups in a folder."""
    return [found.path.name for found in folder.list_backups(target) if not found.fault]


async def status_with(service: Service, wanted: Callable[[Any], bool]) -> Any:
    """What the status says of backups, once it is as wanted."""
    admin = await service.login("admin", ADMIN_PASSWORD)
    async with asyncio.timeout(20):
        while not wanted(shown := (await admin.get("/status"))["backup"]):  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.01)
    return shown


@pytest.mark.usefixtures("soon")
async def test_a_schedule(start_service: StartService, shared_store: dict[str, Any], target: Path) -> None:
    """The service takes a backup as soon as it runs, when there is none, and shows its age."""
    service = await start_service(**shared_store, backup_folder=str(target), timezone=BERLIN)
    await until(lambda: bool(taken(target)))
    (name,) = taken(target)
    manifest = verified(target / name)
    shown = await status_with(service, lambda shown: shown["time"] is not None)
    assert shown == {
        "time": f"{manifest.when.astimezone(BERLIN):%Y-%m-%d %H:%M:%S}",
        "age": shown["age"],
        "error": None,
    }
    assert 0 <= shown["age"] < 600
    assert taken(target) == [name]


async def test_who_sees_it(start_service: StartService, shared_store: dict[str, Any], target: Path) -> None:
    """Only callers who may read everything see the state of backups; without a schedule nobody does."""
    service = await start_service(**shared_store, backup_folder=str(target))
    admin = await service.login("admin", ADMIN_PASSWORD)
    domain = await admin.make_domain("example.org")
    helper = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}))
    reader = await service.login_with(domain, ("SystemAdminRO", {}), name="reader")
    assert "backup" in await reader.get("/status")
    for other in (service.api, helper):
        assert "backup" not in await other.get("/status")
    bad = await service.api.call("GET", "/status", headers={"Authorization": "Bearer x"})
    assert (bad.status, "backup" in bad.body) == (200, False)


async def test_without_a_schedule(admin: Api) -> None:
    """The status is as it was."""
    assert "backup" not in await admin.get("/status")


@pytest.mark.usefixtures("soon")
async def test_a_failure(
    start_service: StartService, shared_store: dict[str, Any], target: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with what to do, the status shows it, and it is tried again until it works."""
    missing = target / "unmounted"
    service = await start_service(**shared_store, backup_folder=str(missing))
    shown = await status_with(service, lambda shown: shown["error"] is not None)
    assert (shown["time"], shown["age"]) == (None, None)
    assert "No such file" in shown["error"]
    (line, *_) = [record.getMessage() for record in caplog.records if record.name == "postroom.backups"]
    assert f"The scheduled backup to {missing} failed" in line
    assert f"postroom backup {missing}" in line
    missing.mkdir()
    shown = await status_with(service, lambda shown: shown["error"] is None)
    assert shown["time"] is not None
    assert len(taken(missing)) == 1


async def test_one_of_several_processes(shared_store: dict[str, Any], target: Path) -> None:
    """Of several processes that see at the same moment that a backup is due, one takes it."""
    config = Config(**shared_store, backup_folder=str(target))
    async with scheduled(config) as one, scheduled(config) as two, scheduled(config) as three:
        for _ in range(2):
            await asyncio.gather(one.look(), two.look(), three.look())
        assert len(taken(target)) == 1
        assert [(await each.state())["error"] for each in (one, two, three)] == [None] * 3


async def test_a_failure_is_known_to_all(shared_store: dict[str, Any], target: Path) -> None:
    """What failed in one process is neither tried again at once in another, nor unknown there."""
    config = Config(**shared_store, backup_folder=str(target / "none"))
    async with scheduled(config) as one, scheduled(config) as two:
        await one.look()
        (target / "none").mkdir()
        await two.look()
        assert taken(target / "none") == []
        assert (await two.state())["error"] == (await one.state())["error"] is not None


@pytest.mark.usefixtures("soon")
async def test_rotation(shared_store: dict[str, Any], target: Path) -> None:
    """After each backup, those that are not kept any more go."""
    config = Config(**shared_store, backup_folder=str(target), backup_every=timedelta(minutes=1), backup_keep={"d": 2})
    async with scheduled(config) as schedule:
        await schedule.look()
        (first,) = taken(target)
        rewrite(target / first, {"time": "2026-01-01T00:00:00Z"})
        await schedule.look()
        (second,) = set(taken(target)) - {first}
        rewrite(target / second, {"time": "2026-01-01T01:00:00Z"})
        await schedule.look()
        assert len(taken(target)) == 2
        assert first not in taken(target)


async def test_the_end_of_the_service(
    start_service: StartService, shared_store: dict[str, Any], target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup that is being taken when the service stops is given up, and nothing is left of it."""
    config = Config(**shared_store, backup_folder=str(target))
    async with scheduled(config) as schedule:
        real, entered = schedule._report, asyncio.Event()
        loop = asyncio.get_running_loop()

        def slowly(what: str, done: int, total: int) -> None:
            loop.call_soon_threadsafe(entered.set)
            while not schedule._stopping:
                pass
            real(what, done, total)

        monkeypatch.setattr(schedule, "_report", slowly)
        schedule.start()
        await entered.wait()
    assert names(target) == []


def test_workers(tmp_path: Path, target: Path) -> None:
    """Three workers take one backup."""
    with serving(tmp_path, "--workers", "3", POSTROOM_BACKUP_FOLDER=str(target)) as running:
        asyncio.run(until(lambda: bool(taken(target))))
        assert running.stop() == 0
    assert len(taken(target)) == 1


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("every", "last", "now", "due"),
    [
        (timedelta(hours=24), None, "2026-01-02 00:00", True),
        (timedelta(hours=24), "2026-01-01 00:00", "2026-01-01 23:59", False),
        (timedelta(hours=24), "2026-01-01 00:00", "2026-01-02 00:00", True),
        (timedelta(hours=24), "2026-01-01 00:00", "2026-03-02 00:00", True),
        (time(3, 30), None, "2026-01-01 00:00", True),
        # In Berlin it is an hour later in winter, two in summer.
        (time(3, 30), "2026-01-01 02:31", "2026-01-02 02:29", False),
        (time(3, 30), "2026-01-01 02:31", "2026-01-02 02:30", True),
        (time(3, 30), "2026-01-01 02:29", "2026-01-01 02:31", True),
        (time(3, 30), "2026-01-01 02:29", "2026-01-01 02:29", False),
        (time(3, 30), "2026-07-01 01:31", "2026-07-02 01:30", True),
        (time(23, 0), "2026-01-01 22:01", "2026-01-02 21:59", False),
        (time(0, 0), "2026-01-01 22:59", "2026-01-01 23:00", True),
        # The night in which 02:30 does not exist.
        (time(2, 30), "2026-03-28 02:00", "2026-03-29 02:00", True),
    ],
)
def test_when_it_is_due(every: timedelta | time, last: str | None, now: str, due: bool) -> None:
    """After an interval, or at a time of the day in the configured time zone; what was missed is due at once."""
    assert is_due(every, None if last is None else _at(last), _at(now), BERLIN) == due
