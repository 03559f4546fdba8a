"""Searches over HTTP: bounded in what they ask for and in time, and ended when their client hangs up."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from marshmallow import fields

from postroom.app.routes import BASE, ROUTES
from postroom.app.web.routing import Route
from postroom.schemas.fields import CommaSeparated
from postroom.storage import searches, user_list
from tests.bench.stores import make_store
from tests.storage.test_searches import ENDLESS, pending, running
from tests.support import raw
from tests.support.service import ADMIN_PASSWORD, Api, Service, assert_failure
from tests.support.waiting import until

pytestmark = pytest.mark.attack

StartService = Callable[..., Awaitable[Service]]


def path_of(route: Route) -> str:
    """The route's path, as it leads to something."""
    return route.path.format(domainID=1, userID=0, ID=1, username="admin", deviceID="phone", sessionID="x", name="x")


def queries(kind: type[fields.Field[Any]], *names: str) -> list[tuple[Route, str, Any]]:
    """(route, parameter, its field) of the table, of those parameters that are of a kind."""
    return [
        (route, field.data_key or name, field)
        for route in ROUTES
        for entry in getattr(route.handler, "__schemas__", ())
        if entry["location"] == "querystring"
        for name, field in entry["schema"].fields.items()
        if isinstance(field, kind) and (not names or name in names)
    ]


def shown(value: Any) -> str:
    """The name of a parametrized route or parameter."""
    return f"{value.method} {value.path}" if isinstance(value, Route) else str(value)[:30]


@pytest.mark.parametrize(("route", "name", "_field"), queries(fields.String, "match"), ids=shown)
async def test_words_are_few(admin: Api, domain: int, route: Route, name: str, _field: Any) -> None:
    """Sixteen words are looked for; one more is a 400 that says so, and the same word twice is one."""
    words = [f"w{number}" for number in range(17)]
    path = path_of(route).replace("folders/tree", "folders")
    assert "match: More than 16 words" in await admin.refused(400, route.method, f"{path}?{name}={'+'.join(words)}")
    for fine in (words[:16], ["a"] * 400):
        assert (await admin.call(route.method, f"{path}?{name}={'+'.join(fine)}")).status == 200


@pytest.mark.parametrize(("route", "name", "field"), queries(CommaSeparated), ids=shown)
async def test_values_are_few(admin: Api, domain: int, route: Route, name: str, field: Any) -> None:
    """Whatever takes a list takes so many values: more are a 400 that names the parameter, never a failure."""
    assert field.most <= 1000
    reasons = await admin.refused(400, route.method, f"{path_of(route)}?{name}={','.join(['1'] * (field.most + 1))}")
    assert name in reasons


@pytest.mark.parametrize(("route", "name", "_field"), queries(fields.List), ids=shown)
async def test_sort_keys_are_few(admin: Api, domain: int, route: Route, name: str, _field: Any) -> None:
    """A parameter that may be repeated may be so often."""
    query = "&".join([f"{name}=ID"] * 17)
    assert name in await admin.refused(400, route.method, f"{path_of(route)}?{query}")


async def test_filters_are_few(admin: Api, domain: int) -> None:
    """Sixteen properties narrow a list; one more is a 400."""
    for url in (f"/domains/{domain}/users", "/system/users"):
        await admin.get(f"{url}?filterProp={';'.join(['comment:x'] * 16)}")
        reasons = await admin.refused(400, "GET", f"{url}?filterProp={';'.join(['comment:x'] * 17)}")
        assert "filterProp: More than 16 properties" in reasons


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists of users that have an end only when they are stopped."""
    monkeypatch.setattr(user_list, "list_statement", lambda *_: (ENDLESS, []))


@pytest.mark.usefixtures("endless")
async def test_a_search_that_takes_too_long(start_service: StartService) -> None:
    """It is a 503 that says what to do, and nobody is told to try the same again."""
    service = await start_service(search_timeout=0.2)
    admin = await service.login("admin", ADMIN_PASSWORD)
    answer = await admin.call("GET", "/system/users?match=a")
    assert answer.status == 503
    assert_failure(answer)
    assert "longer than 0.2 seconds" in answer.body["message"]
    assert "Retry-After" not in answer.headers


@pytest.mark.usefixtures("endless")
async def test_too_many_searches(start_service: StartService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond what one caller may have under way it is a 503 with the time after which to try again."""
    monkeypatch.setattr(searches, "IN_FLIGHT", 10)
    service = await start_service(search_timeout=3600)
    admin = await service.login("admin", ADMIN_PASSWORD)
    tasks = [asyncio.create_task(admin.call("GET", "/system/users")) for _ in range(searches.IN_FLIGHT)]
    own = service.context.database._searches._callers
    await until(lambda: 0 in own and own[0].in_flight == searches.IN_FLIGHT)
    answer = await admin.call("GET", "/system/users")
    assert answer.status == 503
    assert_failure(answer)
    assert answer.headers["Retry-After"] == "1"
    await admin.get("/status")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.usefixtures("endless")
@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_a_client_that_hangs_up(start_service: StartService, how: str) -> None:
    """The statement of whoever has gone ends, whether it runs or waits for its turn."""
    service = await start_service(search_timeout=3600)
    admin = await service.login("admin", ADMIN_PASSWORD)
    database = service.context.database
    head = f"GET {BASE}/system/users HTTP/1.1\r\nHost: x\r\nAuthorization: {admin.headers['Authorization']}\r\n\r\n"
    writers = []
    for _ in range(10):
        _, writer = await raw.connect(service)
        writer.write(head.encode())
        writers.append(writer)
    await until(lambda: running(database) == searches.SLOW)
    for writer in writers:
        if how == "reset":
            raw.reset(writer)
        else:
            writer.close()
    await until(lambda: pending(database) == 0 and not database._searches._callers)


async def test_others_beside_searches(start_service: StartService, tmp_path: Path) -> None:
    """While one caller searches twenty thousand users for all that is dear, logins and reads of others go on."""
    path = tmp_path / "large.sqlite3"
    (large,) = make_store(path, [20_000]).domains
    service = await start_service(database=str(path))
    admin = await service.login("admin", ADMIN_PASSWORD)
    url = f"/domains/{large.id}/users?match={'+'.join('aenristlohmckudb')}&matchProps=displayname,comment"
    statuses: set[int] = set()

    async def search() -> None:
        while True:
            statuses.add((await admin.call("GET", url)).status)

    tasks = [asyncio.create_task(search()) for _ in range(20)]
    await until(lambda: running(service.context.database) == searches.SLOW)
    waits: list[float] = []
    for number in range(8):
        for path_ in ("/status", f"/domains/{large.id}/users/{large.first_user + number}"):
            begun = time.monotonic()
            await admin.get(path_)
            waits.append(time.monotonic() - begun)
        begun = time.monotonic()
        await service.login("admin", ADMIN_PASSWORD)
        waits.append(time.monotonic() - begun)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    # It was a minute when searches and logins shared their readers. Machines that run tests may be busy.
    assert max(waits) < 10, sorted(waits)[-5:]
    assert statuses <= {200, 503}
