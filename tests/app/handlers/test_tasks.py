"""Work that takes longer than its request, and what is known of it afterwards."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from postroom.app.services import tasks as services_tasks
from postroom.app.services.tasks import node
from postroom.app.transactions.clock import unix_now
from postroom.app.transactions.tasks import add_task, begin_task, cancel_task
from postroom.storage import tasks
from postroom.storage.database import Database
from postroom.storage.faults import UncertainError
from postroom.storage.sqlite import sqlite3
from postroom.storage.tasks import Owner
from tests.conftest import StartService
from tests.support.owners import elsewhere
from tests.support.people import CONFIG, document, sync
from tests.support.service import ADMIN_PASSWORD, Api, Service
from tests.support.slapd import Slapd, people_ldif

pytestmark = pytest.mark.slapd
DOWNSYNC, TASKS = "/domains/ldap/downsync", "/tasq/tasks"
COMPLETED, ERROR, CANCELLED = 3, 4, 5


@pytest.fixture
def slapd() -> Iterator[Slapd]:
    """A server with some people."""
    with Slapd() as server:
        server.add(people_ldif(30))
        yield server


async def prepare(service: Service, slapd: Slapd) -> Api:
    """The administrator of a service with the directory configured and its domain."""
    admin = await service.login("admin", ADMIN_PASSWORD)
    await admin.put(CONFIG, document(slapd, objectID="entryUUID"))
    await admin.make_domain("example.com")
    return admin


async def start(api: Api, path: str = DOWNSYNC, **params: str) -> int:
    """The ID of an update that goes on in the background."""
    answer = await api.call("POST", path, params={"timeout": "0", "import": "true", **params})
    assert answer.status == 202, answer.body
    assert str(answer.body["taskID"]) in answer.body["message"]
    return int(answer.body["taskID"])


async def ended(api: Api, task_id: int) -> dict[str, Any]:
    """The task, as soon as it has ended."""
    async with asyncio.timeout(20):
        while True:
            task = await api.get(f"{TASKS}/{task_id}")
            if task["state"] > 2:
                return dict(task)
            await asyncio.sleep(0.01)


async def test_a_task_goes_on_in_the_background(service: Service, slapd: Slapd) -> None:
    """Past its timeout an update is answered with a task, which shows what was asked for, its end, and all items."""
    admin = await prepare(service, slapd)
    task_id = await start(admin)
    task = await ended(admin, task_id)
    assert task["state"] == COMPLETED
    assert task["command"] == "ldapSync"
    assert task["message"] == "Done: 30 created"
    assert task["params"]["import"] is True
    assert task["params"]["counts"] == {"create": 30}
    assert len(task["params"]["result"]) == 30
    listed = await admin.get(TASKS)
    assert listed["count"] == 1
    assert "result" not in listed["data"][0]["params"]
    assert (await admin.get("/tasq/status")) == {"running": True, "queued": 0, "workers": 1}


@pytest.mark.sqlite
async def test_an_end_that_cannot_be_stored_is_stored_later(start_service: StartService, tmp_path: Path) -> None:
    """A task that ends while nothing can be stored has its end as soon as something can, and the next one begins."""
    path = tmp_path / "store.sqlite3"
    service = await start_service(database=str(path))
    context = service.context
    await context.database.write(lambda c: c.execute("PRAGMA busy_timeout = 50").close())
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work(_task_id: int) -> str:
        begun.set()
        await go_on.wait()
        return "Done"

    task_id = await context.tasks.start("test", {}, None, work)
    admin = await service.login("admin", ADMIN_PASSWORD)
    await begun.wait()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        go_on.set()
        assert await context.tasks.wait(task_id, 20)
        assert (await admin.get(f"{TASKS}/{task_id}"))["state"] == tasks.RUNNING
    assert (await ended(admin, task_id))["message"] == "Done"
    following = await context.tasks.start("test", {}, None, work)
    assert (await ended(admin, following))["state"] == COMPLETED


async def test_a_task_that_nobody_was_told_of(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task whose row is stored although the answer to that was lost is marked as interrupted, and others go on."""
    context, write = service.context, Database.write

    async def lose(database: Database, function: Any, *args: Any) -> Any:
        result = await write(database, function, *args)
        if function is add_task:
            raise UncertainError
        return result

    async def work(_task_id: int) -> str:
        return "Done"

    admin = await service.login("admin", ADMIN_PASSWORD)
    with monkeypatch.context() as patch:
        patch.setattr(Database, "write", lose)
        with pytest.raises(UncertainError):
            await context.tasks.start("test", {}, None, work)
    following = await context.tasks.start("test", {}, None, work)
    assert (await ended(admin, following))["state"] == COMPLETED
    lost = await ended(admin, following - 1)
    assert lost["state"] == ERROR
    assert "the database was lost" in lost["message"]


async def test_lists_of_tasks(service: Service, slapd: Slapd) -> None:
    """Tasks are filtered, sorted, searched and paged like everything else."""
    admin = await prepare(service, slapd)
    for _ in range(3):
        await sync(admin)
    assert [task["ID"] for task in (await admin.get(TASKS, params={"sort": "ID,desc"}))["data"]] == [3, 2, 1]
    assert [task["ID"] for task in (await admin.get(TASKS, params={"ID": "1,3"}))["data"]] == [1, 3]
    page = await admin.get(TASKS, params={"limit": "1", "offset": "1"})
    assert (page["count"], [task["ID"] for task in page["data"]]) == (3, [2])
    assert (await admin.get(TASKS, params={"match": "SYNC nothing"}))["count"] == 3
    assert (await admin.get(TASKS, params={"match": "100% absent"}))["count"] == 0
    assert (await admin.get(TASKS, params={"command": "other"}))["count"] == 0
    await admin.refused(400, "GET", f"{TASKS}?sort=ID,up")
    for missing in ("99", "x", str(2**70)):
        await admin.refused(404, "GET", f"{TASKS}/{missing}")
        await admin.refused(404, "DELETE", f"{TASKS}/{missing}")
        await admin.refused(404, "POST", f"{TASKS}/{missing}/cancel")


async def test_cancel_and_delete(service: Service, slapd: Slapd) -> None:
    """A task that waits, or that works, is cancelled and says so; only one that has ended can be deleted."""
    admin = await prepare(service, slapd)
    slapd.pause()
    working, waiting = await start(admin), await start(admin)
    assert (await admin.get("/tasq/status"))["queued"] == 1
    await admin.refused(400, "DELETE", f"{TASKS}/{working}")
    for task_id in (waiting, working):
        assert (await admin.call("POST", f"{TASKS}/{task_id}/cancel")).status == 200
        assert (await admin.get(f"{TASKS}/{task_id}"))["state"] == CANCELLED
        await admin.refused(400, "POST", f"{TASKS}/{task_id}/cancel")
        await admin.delete(f"{TASKS}/{task_id}")
        await admin.refused(404, "GET", f"{TASKS}/{task_id}")
    slapd.resume()
    assert (await admin.get("/domains/1/users"))["count"] == 0
    assert len((await sync(admin, **{"import": "true"}))["data"]) == 30


async def test_a_request_that_waits_for_a_cancelled_task(service: Service, slapd: Slapd) -> None:
    """Whoever waits for a task that somebody else cancels is told so, with what was done until then."""
    admin = await prepare(service, slapd)
    slapd.pause()
    waiting = asyncio.create_task(admin.call("POST", DOWNSYNC, params={"timeout": "30"}))
    async with asyncio.timeout(20):
        while (await admin.call("POST", f"{TASKS}/1/cancel")).status == 404:
            pass
    answer = await waiting
    assert (answer.status, answer.body) == (200, {"message": "Cancelled", "data": []})


async def status(api: Api) -> tuple[bool, int, int]:
    """(whether the queue runs, how many wait, how many workers there are)."""
    found = await api.get("/tasq/status")
    assert (await api.get("/status"))["tasq"] == found["running"]
    return found["running"], found["queued"], found["workers"]


async def test_stop_and_start(service: Service, slapd: Slapd) -> None:
    """While the queue is stopped tasks wait, in their order, and requests that would wait for them are told of them."""
    admin = await prepare(service, slapd)
    for _ in range(2):
        assert (await admin.call("POST", "/tasq/stop")).status == 200
    assert await status(admin) == (False, 0, 0)
    answer = await admin.call("POST", DOWNSYNC, params={"timeout": "0.1", "import": "true"})
    assert answer.status == 202
    waiting = [answer.body["taskID"], await start(admin), await start(admin)]
    assert await status(admin) == (False, 3, 0)
    assert {(await admin.get(f"{TASKS}/{each}"))["state"] for each in waiting} == {0}
    for _ in range(2):
        assert (await admin.call("POST", "/tasq/start?procs=4")).status == 200
    tasks_ended = [await ended(admin, each) for each in waiting]
    assert [task["state"] for task in tasks_ended] == [COMPLETED] * 3
    assert tasks_ended[0]["message"] == "Done: 30 created"
    assert tasks_ended[1]["message"] == "Done: 30 unchanged"
    assert await status(admin) == (True, 0, 1)


async def test_what_is_being_worked_on_goes_on(service: Service, slapd: Slapd) -> None:
    """A stop lets the task that is being worked on come to its end, and waits for that as long as it is asked to."""
    admin = await prepare(service, slapd)
    slapd.pause()
    working, waiting = await start(admin), await start(admin)
    for timeout in ("", "?timeout=0.1"):
        answer = await admin.call("POST", f"/tasq/stop{timeout}")
        assert "continues to its end" in answer.body["message"]
    slapd.resume()
    answer = await admin.call("POST", "/tasq/stop?timeout=20")
    assert answer.body == {"message": "The task queue has been stopped"}
    assert (await ended(admin, working))["message"] == "Done: 30 created"
    assert (await admin.get(f"{TASKS}/{waiting}"))["state"] == 0


async def test_cancel_while_stopped(service: Service, slapd: Slapd) -> None:
    """Tasks that wait for a start can be cancelled, the first one as well as another, and do nothing then."""
    admin = await prepare(service, slapd)
    await admin.call("POST", "/tasq/stop")
    first, second, third = await start(admin), await start(admin), await start(admin)
    for task_id in (first, third):
        assert (await admin.call("POST", f"{TASKS}/{task_id}/cancel")).status == 200
        assert (await admin.get(f"{TASKS}/{task_id}"))["state"] == CANCELLED
    assert (await admin.get("/domains/1/users"))["count"] == 0
    await admin.call("POST", "/tasq/start")
    assert (await ended(admin, second))["state"] == COMPLETED
    assert (await admin.get(f"{TASKS}/{third}"))["state"] == CANCELLED


async def test_the_end_of_the_process_while_stopped(start_service: StartService, slapd: Slapd, tmp_path: Path) -> None:
    """A service with a stopped queue ends at once and says so of the tasks that waited; the next one runs it again."""
    database = str(tmp_path / "store.sqlite3")
    service = await start_service(database=database)
    admin = await prepare(service, slapd)
    await admin.call("POST", "/tasq/stop")
    waiting = [await start(admin), await start(admin)]
    async with asyncio.timeout(3):
        await service.app.cleanup()
    again = await start_service(database=database)
    admin = await again.login("admin", ADMIN_PASSWORD)
    for task_id in waiting:
        task = await admin.get(f"{TASKS}/{task_id}")
        assert (task["state"], task["message"]) == (ERROR, "Interrupted: the service was stopped")
    assert await status(admin) == (True, 0, 1)


async def test_who_may_stop(service: Service, admin: Api, domain: int) -> None:
    """Only who may do everything stops and starts the queue; what is no number of seconds or workers is refused."""
    for number, permission in enumerate(("SystemAdminRO", "DomainAdmin")):
        caller = await service.login_with(domain, (permission, {"everything": True}), name=f"caller{number}")
        for path in ("stop", "start"):
            await caller.refused(403, "POST", f"/tasq/{path}")
    for bad in ("stop?timeout=x", "stop?timeout=-1", "stop?timeout=nan", "start?procs=x", "start?procs=-1"):
        await admin.refused(400, "POST", f"/tasq/{bad}")
    assert await status(admin) == (True, 0, 1)


async def test_a_failure_is_kept(service: Service, slapd: Slapd) -> None:
    """A task that fails in the background ends with the reason."""
    admin = await prepare(service, slapd)
    slapd.stop()
    task = await ended(admin, await start(admin))
    assert task["state"] == ERROR
    assert slapd.url in task["message"]


async def test_everyone_sees_their_own(service: Service, slapd: Slapd) -> None:
    """An administrator of a domain sees, cancels and deletes the tasks they have started, and no others."""
    admin = await prepare(service, slapd)
    domain_admin = await service.login_with(1, ("DomainAdmin", {"domain_id": 1}), name="da")
    reader = await service.login_with(1, ("SystemAdminRO", {}), name="ro")
    others = await start(admin)
    own = await start(domain_admin, "/domains/1/ldap/downsync")
    await ended(admin, own)
    assert [task["ID"] for task in (await domain_admin.get(TASKS))["data"]] == [own]
    assert (await reader.get(TASKS))["count"] == 2
    await domain_admin.refused(404, "GET", f"{TASKS}/{others}")
    await domain_admin.refused(404, "DELETE", f"{TASKS}/{others}")
    await domain_admin.refused(404, "POST", f"{TASKS}/{others}/cancel")
    await reader.refused(404, "DELETE", f"{TASKS}/{others}")
    await domain_admin.delete(f"{TASKS}/{own}")


async def test_a_stop_interrupts(start_service: StartService, slapd: Slapd, tmp_path: Path) -> None:
    """A service that stops in the middle of a task says so in the task; what was done stays done."""
    database = str(tmp_path / "store.sqlite3")
    service = await start_service(database=database)
    admin = await prepare(service, slapd)
    slapd.pause()
    task_id = await start(admin)
    await service.app.cleanup()
    slapd.resume()
    service = await start_service(database=database)
    admin = await service.login("admin", ADMIN_PASSWORD)
    task = await admin.get(f"{TASKS}/{task_id}")
    assert (task["state"], task["message"]) == (ERROR, "Interrupted: the service was stopped")


@pytest.mark.parametrize(("pid", "interrupted"), [(2**22 + 1, True), (1, False)])
async def test_a_crash_is_reported(start_service: StartService, tmp_path: Path, pid: int, interrupted: bool) -> None:
    """A task whose process is gone was interrupted; one of a command that still runs is left alone."""
    database = str(tmp_path / "store.sqlite3")
    service = await start_service(database=database)
    write = service.context.database.write
    task_id = await write(tasks.insert_task, "ldapSync", {}, None, elsewhere(pid), 0, "2026-01-01 00:00:00")
    await write(tasks.update_task, task_id, tasks.RUNNING, "100 entries read", "2026-01-01 00:00:01")
    again = await start_service(database=database)
    admin = await again.login("admin", ADMIN_PASSWORD)
    task = await admin.get(f"{TASKS}/{task_id}")
    assert (task["state"] == ERROR) == interrupted
    assert task["message"].startswith("Interrupted" if interrupted else "100 entries")


async def test_a_number_that_comes_again(service: Service) -> None:
    """A task whose process is gone was interrupted, while the service runs and though another has its number by now."""
    admin = await service.login("admin", ADMIN_PASSWORD)
    write = service.context.database.write
    owner = Owner("another process@1", node(), os.getppid())
    task_id = await write(tasks.insert_task, "ldapSync", {}, None, owner, unix_now(), "2026-01-01 00:00:00")
    await write(tasks.update_task, task_id, tasks.RUNNING, "", "2026-01-01 00:00:01")
    assert (await ended(admin, task_id))["state"] == ERROR


async def test_a_cancellation_by_another_process(
    service: Service, slapd: Slapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that hangs in the directory ends, though only its row says so."""
    monkeypatch.setattr(services_tasks, "SHOW_LIFE", 0.1)
    admin = await prepare(service, slapd)
    slapd.pause()
    task_id = await start(admin)
    async with asyncio.timeout(20):
        while True:
            if (await admin.get(f"{TASKS}/{task_id}"))["state"] == tasks.RUNNING:
                break
            await asyncio.sleep(0.01)
    await service.context.database.write(cancel_task, task_id, "2026-01-01 00:00:00")
    assert await service.context.tasks.wait(task_id, 5)
    assert (await admin.get(f"{TASKS}/{task_id}"))["state"] == CANCELLED


async def test_processes_take_turns(service: Service) -> None:
    """The process that had the last task lets one of another begin first, unless that shows no life."""
    write = service.context.database.write
    first, second = Owner("first", node(), 1), Owner("second", node(), 1)
    now = "2026-01-01 00:00:00"

    async def insert(owner: Owner) -> int:
        return await write(tasks.insert_task, "ldapSync", {}, None, owner, unix_now(), now)

    async def end(task_id: int) -> None:
        await write(tasks.update_task, task_id, COMPLETED, "", now)

    mine, next_of_mine, other = await insert(first), await insert(first), await insert(second)
    assert await write(begin_task, mine, first, now)
    assert await write(begin_task, other, second, now) is None
    await end(mine)
    assert await write(begin_task, next_of_mine, first, now) is None
    assert await write(begin_task, other, second, now)
    await end(other)
    silent = await write(tasks.insert_task, "ldapSync", {}, None, second, 1, now)
    assert await write(begin_task, next_of_mine, first, now)
    await end(next_of_mine)
    assert await write(begin_task, await insert(first), first, now)
    assert await write(begin_task, silent, second, now) is None


async def test_old_tasks_make_room(service: Service, slapd: Slapd) -> None:
    """A hundred finished tasks are kept, and unchanged items of the newest ones only."""
    admin = await prepare(service, slapd)
    await sync(admin, **{"import": "true"})
    await sync(admin)
    write = service.context.database.write
    for _ in range(100):
        task_id = await write(tasks.insert_task, "test", {}, None, elsewhere(), 0, "2026-01-01 00:00:00")
        await write(tasks.update_task, task_id, COMPLETED, "", "2026-01-01 00:00:00")
    listed = await admin.get(TASKS, params={"limit": "1000"})
    assert listed["count"] == 101
    assert listed["data"][0]["params"].get("counts") == {}
