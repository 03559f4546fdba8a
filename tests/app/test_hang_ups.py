"""Clients that hang up amid a request: nothing is done for them any more, and nothing is left half done."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from postroom.app.limits.in_flight import IN_FLIGHT
from postroom.app.openapi.example_calls import load
from postroom.app.routes import BASE, ROUTES
from postroom.app.web.routing import Route
from tests.support.bulk import text_of
from tests.support.inside import assert_sound
from tests.support.raw import connect, reset
from tests.support.service import ADMIN_PASSWORD, NDJSON, Api, Service

pytestmark = pytest.mark.attack

StartService = Callable[..., Awaitable[Service]]
PATIENCE = 20
#: Hang-ups of each operation.
TRIES = 12


@pytest.fixture
async def stored(start_service: StartService, tmp_path: Path) -> Service:
    """A service with a database in a file."""
    return await start_service(database=str(tmp_path / "store.sqlite3"))


async def populated(service: Service) -> Api:
    """The administrator of a service in which there is something of everything that a path names."""
    admin = await service.login("admin", ADMIN_PASSWORD)
    await admin.post("/system/orgs", {"name": "Firm"})
    domain = await admin.make_domain("example.com", orgID=1)
    for name in ("anna.schmidt", "berta"):
        await admin.make_user(domain, name, status=4)
    await admin.post("/system/roles", {"name": "Role", "permissions": [{"permission": "SystemAdminRO"}]})
    return admin


def bytes_of(route: Route, login: str, number: int) -> bytes:
    """A request of an operation, with the body of one of its examples."""
    name = vars(route.handler)["__apispec__"]["operationId"]
    found = [each for each in load() if each["operation"] == name and each["status"] < 300]
    path = found[0]["at"] if found else route.path
    body = found[0].get("body") if found else None
    lines = found[0].get("lines") if found else None
    # A new name each time; nobody listens there, and no name is looked up.
    text = "" if body is None else json.dumps(body).replace("directory.example.com", "127.0.0.1:9")
    text = text.replace("example.net", f"n{number}.example.net")
    head = [f"{route.method} {BASE}{path} HTTP/1.1", "Host: x", f"Authorization: {login}"]
    if name == "postLogin":
        text = json.dumps({"user": "admin", "pass": ADMIN_PASSWORD})
    if lines is not None:
        text = text_of(lines).decode().replace("eva", f"eva{number}").replace("tom", f"tom{number}")
    if text:
        head += [
            f"Content-Type: {'application/json' if lines is None else NDJSON}",
            f"Content-Length: {len(text.encode())}",
        ]
    return "\r\n".join([*head, "", ""]).encode() + text.encode()


async def settled(service: Service) -> None:
    """Waits until nothing is under way, and asserts that no count has been left behind."""
    in_flight = service.app[IN_FLIGHT]
    async with asyncio.timeout(PATIENCE):
        await in_flight.none()
    assert [lane.count for lane in in_flight._lanes.values()] == [0, 0, 0]


async def assert_consistent(service: Service) -> None:
    """The file is whole: every page, every reference, the counts that triggers keep, and no task that nobody runs."""
    database = service.context.database
    await assert_sound(database)
    counted = """
        SELECT d.id
          FROM domains d
         WHERE d.active_users != (SELECT count(*) FROM users u WHERE u.domain_id = d.id AND u.status = 0)
    """
    assert await database.fetch_all(counted) == []
    unfinished = {row[0] for row in await database.fetch_all("SELECT id FROM tasks WHERE state IN (0, 1, 2)")}
    assert unfinished <= service.context.tasks._running.keys()


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_hanging_up_amid_each_operation(stored: Service, route: Route) -> None:
    """Whoever hangs up at any moment of any operation leaves a whole database and nothing under way."""
    chance = random.Random(route.path + route.method)  # noqa: S311 - the same moments in every run
    admin = await populated(stored)
    for number in range(TRIES):
        sent = bytes_of(route, admin.headers["Authorization"], number)
        _, writer = await connect(stored)
        cut = len(sent) if number % 4 else chance.randrange(1, len(sent))
        writer.write(sent[:cut])
        await asyncio.sleep(chance.random() ** 3 * 0.03)
        (reset if number % 2 else asyncio.StreamWriter.close)(writer)
    await settled(stored)
    await assert_consistent(stored)
    assert (await stored.api.call("GET", "/status")).status == 200


async def test_what_waits_is_given_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operation that waits for something ends as soon as its client has gone, however they go."""
    began, ended = asyncio.Queue[int](), asyncio.Queue[int]()

    async def hang(_database: Any) -> None:
        began.put_nowait(1)
        try:
            await asyncio.Event().wait()
        finally:
            ended.put_nowait(1)

    monkeypatch.setattr(type(service.context.database), "check", hang)
    for end in (reset, asyncio.StreamWriter.close, asyncio.StreamWriter.write_eof):
        _, writer = await connect(service)
        writer.write(b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        async with asyncio.timeout(PATIENCE):
            await began.get()
            end(writer)
            await ended.get()
            await service.app[IN_FLIGHT].none()
        writer.close()
    # Those that came after the first on the same connection have never begun.
    assert began.empty()


async def test_a_write_that_has_not_begun_never_begins(stored: Service) -> None:
    """A change whose client hangs up while it waits for the writer is not made."""
    admin = await populated(stored)
    before = stored.context.database.generation.value
    free, loop = asyncio.Event(), asyncio.get_running_loop()

    def hold_up(_connection: Any) -> None:
        asyncio.run_coroutine_threadsafe(asyncio.wait_for(free.wait(), PATIENCE), loop).result()

    held = asyncio.create_task(stored.context.database.write(hold_up))
    await asyncio.sleep(0)
    login = admin.headers["Authorization"]
    sent = f"DELETE {BASE}/domains/1/users/2 HTTP/1.1\r\nHost: x\r\nAuthorization: {login}\r\n\r\n"
    _, writer = await connect(stored)
    writer.write(sent.encode())
    lane = stored.app[IN_FLIGHT]._lanes["write"]
    async with asyncio.timeout(PATIENCE):
        while not lane.count:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        reset(writer)
        await stored.app[IN_FLIGHT].none()
    free.set()
    await held
    assert (await admin.call("GET", "/domains/1/users/2")).status == 200
    assert stored.context.database.generation.value == before


async def test_a_task_is_started_as_a_whole(stored: Service) -> None:
    """Of a task whose client hangs up while its row is written there is no row that nobody works on."""
    tasks = stored.context.tasks

    async def work(_task_id: int) -> str:
        return "Done"

    for turns in range(6):
        starting = asyncio.create_task(tasks.start("test", {}, None, work))
        for _ in range(turns):
            await asyncio.sleep(0.001)
        starting.cancel()
        await asyncio.wait([starting])
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(tasks.wait(number) for number in range(1, 7)))
    await assert_consistent(stored)
