"""Tasks of several processes on one database: one at a time runs, and those of a process that is gone are in no way."""

import asyncio
from pathlib import Path

import pytest

from postroom.app.errors import UnavailableError
from postroom.app.services import tasks as service_tasks
from postroom.app.transactions import tasks as rules
from postroom.app.transactions.clock import unix_now
from postroom.storage import auth, tasks
from postroom.storage.tasks import Owner
from tests.conftest import StartService
from tests.support.owners import elsewhere
from tests.support.service import Service
from tests.support.waiting import until

LONG_AGO = 1_000_000


@pytest.fixture
async def service(start_service: StartService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service on a file that asks often."""
    monkeypatch.setattr(service_tasks, "ASK_AGAIN", 0.02)
    monkeypatch.setattr(service_tasks, "SHOW_LIFE", 0.05)
    return await start_service(database=str(tmp_path / "postroom.sqlite3"))


async def add(service: Service, owner: Owner, seen: int) -> int:
    """A task that another process works on."""
    write = service.context.database.write
    task_id = await write(tasks.insert_task, "ldapSync", {}, None, owner, seen, "2026-01-01 00:00:00")
    await write(tasks.update_task, task_id, tasks.RUNNING, "100 entries read", "2026-01-01 00:00:00")
    return task_id


async def work_at_once(_task_id: int) -> str:
    """A task's work that is done at once."""
    return "done"


async def test_another_process_is_waited_for(service: Service) -> None:
    """A task begins when that of another process has ended, and shows that it waits until then."""
    done: list[int] = []

    async def work(task_id: int) -> str:
        done.append(task_id)
        return "done"

    others = await add(service, elsewhere(), unix_now())
    mine = await service.context.tasks.start("test", {}, None, work)
    await asyncio.sleep(0.3)
    assert done == []
    assert await service.context.database.read(tasks.find_task, mine) == tasks.TaskRow(mine, tasks.QUEUED, None)
    await service.context.database.write(tasks.update_task, others, tasks.COMPLETED, "", "2026-01-01 00:00:01")
    await until(lambda: done == [mine])


@pytest.mark.parametrize(
    ("owner", "seen", "gone"),
    [
        (elsewhere(2**22 + 1), LONG_AGO, True),
        (elsewhere(2**22 + 1), 2**40, True),
        (elsewhere(), LONG_AGO, False),
        (Owner("x", "another node", 1), LONG_AGO, True),
        (Owner("x", "another node", 2**22 + 1), 2**40, False),
        (Owner("", "", 1), 0, True),
    ],
    ids=["no such PID", "no such PID, seen", "alive", "silent node", "node that was seen", "of an older version"],
)
async def test_a_process_that_is_gone(service: Service, owner: Owner, seen: int, gone: bool) -> None:
    """Its task is interrupted, and the next one begins; a PID counts on its own node only."""
    others = await add(service, owner, seen)
    mine = await service.context.tasks.start("test", {}, None, work_at_once)
    ended = await service.context.tasks.wait(mine, 20 if gone else 0.5)
    row = await service.context.database.read(tasks.find_task, others)
    assert row is not None
    assert (ended, row.state == tasks.ERROR) == (gone, gone)


async def test_a_task_shows_that_its_process_lives(service: Service) -> None:
    """Its row is marked again and again for as long as it is not done, and not after that."""
    go_on = asyncio.Event()

    async def work(_task_id: int) -> str:
        await go_on.wait()
        return "done"

    task_id = await service.context.tasks.start("test", {}, None, work)
    database = service.context.database
    await database.write(lambda connection: connection.execute("UPDATE tasks SET seen = 1"))
    async with asyncio.timeout(20):
        while await database.fetch_value("SELECT seen FROM tasks WHERE id = ?", (task_id,)) == 1:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    go_on.set()
    await service.context.tasks.wait(task_id)
    await until(lambda: service.context.tasks._beat is None)


async def test_a_stop_by_another_process(service: Service) -> None:
    """It counts here, for what waits and for what is shown."""
    done: list[int] = []

    async def work(task_id: int) -> str:
        done.append(task_id)
        return "done"

    await service.context.database.write(auth.set_setting, rules.STOPPED, "1")
    assert not await service.context.tasks.is_open()
    mine = await service.context.tasks.start("test", {}, None, work)
    await asyncio.sleep(0.2)
    assert done == []
    await service.context.database.write(auth.delete_setting, rules.STOPPED)
    await until(lambda: done == [mine])


async def test_tasks_of_others_count(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is one for all processes."""
    monkeypatch.setattr(rules, "MOST_UNFINISHED", 2)

    for _ in range(2):
        await add(service, elsewhere(), unix_now())
    with pytest.raises(UnavailableError, match="2 tasks are waiting"):
        await service.context.tasks.start("test", {}, None, work_at_once)
