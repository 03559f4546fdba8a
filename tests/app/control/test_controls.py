"""The controls of `postroom serve --ephemeral`, over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import ClientSession, web
from openapi_spec_validator import validate

from postroom.app.control.routes import BESIDE, ROUTES, document
from postroom.app.openapi.document import build
from postroom.app.routes import BASE
from postroom.app.routes import ROUTES as API
from postroom.testing.clock import MovableClock
from postroom.testing.images import beginning
from postroom.testing.journal import CONTROLS
from postroom.testing.listening import OnLoopback
from postroom.testing.seeds import ReadSeed
from postroom.testing.server import Server, running
from postroom.testing.settings import settings_of
from tests.support.description import Description
from tests.support.service import Service

AWAY = {"state": 2, "startTime": "2026-12-24 12:00:00", "endTime": "2027-01-06 00:00:00"}
NIGHTLY = {"Authorization": "Bearer postroom_nightly"}
SEED = {
    "users": [{"username": "anna", "oof": AWAY, "devices": ["phone"], "roles": ["helpers"]}, "bert"],
    "roles": [{"name": "helpers", "permissions": ["SystemAdmin"]}],
    "tokens": ["nightly", {"name": "for a day", "token": "postroom_day", "expires": "2026-12-25 08:00:00"}],
}
OWN = Description(json.loads(document()))


@dataclass
class Answered:
    """A response."""

    status: int
    body: Any


class Controlled:
    """A server with its controls. What these answer is compared with their description."""

    def __init__(self, server: Server, session: ClientSession) -> None:
        self.server = server
        self.session = session

    async def control(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answered:
        """Calls a control."""
        return await self._call(method, CONTROLS + path, body, headers or {})

    async def api(self, path: str, headers: dict[str, str] | None = None) -> Answered:
        """Reads something."""
        return await self._call("GET", BASE + path, None, NIGHTLY if headers is None else headers)

    async def done(self, method: str, path: str, body: Any = None) -> Any:
        """What a control returns that has to succeed."""
        answered = await self.control(method, path, body)
        assert answered.status < 300, answered
        return answered.body

    async def refused(self, method: str, path: str, body: Any = None) -> str:
        """The message of a control that has to refuse."""
        answered = await self.control(method, path, body)
        assert answered.status in (400, 404, 413), answered
        return str(answered.body["message"])

    async def _call(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Answered:
        sent: dict[str, Any] = {} if body is None else {"json": body}
        async with self.session.request(method, path, headers=headers, **sent) as response:
            return Answered(response.status, await response.json())


@asynccontextmanager
async def controlled(seed: dict[str, Any]) -> AsyncIterator[Controlled]:
    """A server with its controls, in this process."""
    config = settings_of({"timezone": "Europe/Vienna"})
    clock = MovableClock(config.timezone)
    image = await beginning(config, ReadSeed(seed), clock)
    server = Server(config, image, clock, strict=True, beside=BESIDE)
    breaches: list[str] = []

    async def compare(request: web.Request, response: web.StreamResponse) -> None:
        resource = request.match_info.route.resource
        operation = (request.method, resource.canonical.removeprefix(CONTROLS) if resource is not None else "")
        if operation in OWN.operations:
            assert isinstance(response, web.Response)
            assert isinstance(response.body, bytes)
            found = OWN.answer_breaches(operation, response.status, json.loads(response.body))
            breaches.extend(f"{operation}: {breach}" for breach in found)

    server._app.on_response_prepare.append(compare)
    try:
        await server.start(OnLoopback(0))
        async with server.client() as session:
            yield Controlled(server, session)
        assert breaches == []
    finally:
        await server.close()


@pytest.fixture
async def server() -> AsyncIterator[Controlled]:
    """A server with a few users."""
    async with controlled(SEED) as started:
        yield started


async def usernames(server: Controlled) -> list[str]:
    """The users of domain 1."""
    return [user["username"].partition("@")[0] for user in (await server.api("/domains/1/users")).body["data"]]


def test_the_description_is_valid_and_has_everything() -> None:
    """One of its own, and nothing of it in that of the API."""
    validate(OWN.document)
    assert set(OWN.operations) == {(route.method, route.path) for route in ROUTES}
    operations = [each["operationId"] for each in OWN.operations.values()]
    assert len(set(operations)) == len(operations)
    assert b"_test" not in build(BASE, API)


async def test_no_service_has_them(service: Service) -> None:
    """There is nothing at their paths, as at any unknown path; neither in a server of postroom.testing."""
    async with ClientSession() as session, running() as other:
        for url in (service.url, other.url):
            for route in BESIDE:
                async with session.request(route.method, url + route.path) as response:
                    answer = response.status, await response.json()
                assert answer == (404, {"message": f"There is nothing at {quote(route.path)}"})


async def test_back_to_the_beginning_and_to_snapshots(server: Controlled) -> None:
    """The login in the response is a new one; tokens of the seed stay."""
    assert await server.done("POST", "/snapshots", {"name": "two users"}) == {"name": "two users"}
    anna = await server.done("POST", "/logins", {"user": "anna@example.org"})
    await server.server.admin.delete("/domains/1/users/2")
    assert await server.done("POST", "/snapshots") == {"name": "snapshot 1"}
    assert await usernames(server) == ["anna"]
    await server.done("POST", f"/snapshots/{quote('two users')}/restore")
    assert await usernames(server) == ["anna", "bert"]
    assert "'two users', 'snapshot 1'" in await server.refused("POST", "/snapshots/other/restore")
    token = (await server.done("POST", "/reset"))["token"]
    statuses = [
        (await server.api("/profile", {"Authorization": f"Bearer {each}"})).status for each in (token, anna["token"])
    ]
    assert statuses == [200, 401]


async def test_going_back_while_requests_go_on(server: Controlled) -> None:
    """All of it is done, one after the other; a request meets one store or a closed one, never a mixture."""
    await server.done("POST", "/snapshots", {"name": "two users"})
    changes = [server.control("POST", path) for path in ("/reset", "/snapshots/two%20users/restore") * 5]
    changes += [server.control("PUT", "/seed", {"users": ["anna", "bert"], "tokens": ["nightly"]}) for _ in range(5)]
    reads = [server.api("/domains/1/users") for _ in range(30)]
    answers = await asyncio.gather(*changes, *reads)
    assert {answer.status for answer in answers[: len(changes)]} == {200}
    for answer in answers[len(changes) :]:
        assert answer.status == 503 or len(answer.body["data"]) == 2
    assert await usernames(server) == ["anna", "bert"]


async def test_snapshots_are_not_without_end(server: Controlled) -> None:
    """Each is a whole store; a name can be used again."""
    for _ in range(100):
        await server.done("POST", "/snapshots")
    assert "100 snapshots" in await server.refused("POST", "/snapshots", {"name": "one more"})
    await server.done("POST", "/snapshots", {"name": "snapshot 7"})


async def test_another_seed_is_the_beginning_from_then_on(server: Controlled) -> None:
    """What one server has stored is what another begins with."""
    await server.done("PUT", "/seed", {"users": ["carl"], "tokens": ["nightly"]})
    assert await usernames(server) == ["carl"]
    await server.server.admin.delete("/domains/1/users/1")
    await server.done("POST", "/reset")
    assert await usernames(server) == ["carl"]
    dumped = await server.done("GET", "/seed")
    async with controlled(dumped) as other:
        assert await usernames(other) == ["carl"]


@pytest.mark.parametrize(
    ("seed", "named"),
    [
        ({"usrs": ["anna"]}, "usrs"),
        ({"users": ["carl", "carl"]}, "users.1"),
        ({"users": [{"username": "carl", "aliases": ["c"]}]}, "(carl)"),
        ({"users": "carl"}, "users"),
        (["carl"], "JSON object"),
    ],
)
async def test_a_seed_that_cannot_be_planted_changes_nothing(server: Controlled, seed: Any, named: str) -> None:
    """The message names the place."""
    assert named in await server.refused("PUT", "/seed", seed)
    assert await usernames(server) == ["anna", "bert"]
    await server.done("POST", "/reset")
    assert await usernames(server) == ["anna", "bert"]


async def test_the_clock_is_turned_over_the_end_of_a_holiday_and_of_a_token(server: Controlled) -> None:
    """To the second, in the time zone of the server."""
    day = {"Authorization": "Bearer postroom_day"}
    await server.done("PATCH", "/clock", {"frozen": True, "now": "2026-12-25 07:59:59"})
    assert (await server.api("/domains", day)).status == 200
    clock = await server.done("PATCH", "/clock", {"forward": 1})
    assert (clock["now"], clock["frozen"], clock["factor"]) == ("2026-12-25 08:00:00", True, 0)
    assert (await server.api("/domains", day)).status == 401
    for now, in_force in (("2027-01-05T22:59:59Z", True), ("2027-01-06 00:00:00", False)):
        await server.done("PATCH", "/clock", {"now": now})
        assert (await server.api("/service/oof/anna@example.org")).body["data"]["inForce"] is in_force


async def test_a_clock_that_runs_goes_forward_only(server: Controlled) -> None:
    """A change that is refused leaves it as it was."""
    await server.done("PATCH", "/clock", {"factor": 0.001})
    before = await server.done("GET", "/clock")
    for change in ({"now": "2001-01-01 00:00:00"}, {"forward": -60}, {"now": "2001-01-01 00:00:00", "factor": 5}):
        assert "freeze() it first" in await server.refused("PATCH", "/clock", change)
    after = await server.done("GET", "/clock")
    assert after["unix"] - before["unix"] < 60
    assert (after["factor"], after["frozen"]) == (0.001, False)
    await server.done("PATCH", "/clock", {"frozen": True, "now": "2001-01-01 00:00:00"})
    await server.done("PATCH", "/clock", {"frozen": False})
    assert (await server.done("GET", "/clock"))["now"].startswith("2001-01-01")
    await server.done("POST", "/reset")
    assert (await server.done("GET", "/clock"))["unix"] >= before["unix"]


@pytest.mark.parametrize(
    "change",
    [
        {}, {"now": "tomorrow"}, {"now": 5}, {"frozen": 1}, {"forward": "60"}, {"forward": 1e300}, {"factor": 0},
        {"factor": -1}, {"frozen": True, "factor": 2}, {"now": "2030-01-01 00:00:00", "forward": 1}, {"nwo": "x"}, [],
        {"now": "9999-12-31 23:59:59"}, {"frozen": True, "now": "0001-01-01 00:00:00"}, {"frozen": True, "now": "x"},
    ],
)  # fmt: skip
async def test_what_no_clock_does(server: Controlled, change: Any) -> None:
    """Nothing happens."""
    await server.refused("PATCH", "/clock", change)
    assert (await server.done("GET", "/clock"))["factor"] == 1


async def test_requests_are_shown_without_the_controls(server: Controlled) -> None:
    """All, some of them, the latest, none any more."""
    for path in ("/domains", "/domains/7/users", "/nothing"):
        await server.api(path)
    found = await server.done("GET", "/requests")
    assert (found["count"], [each["status"] for each in found["data"]]) == (3, [200, 404, 404])
    assert [each["operation"] for each in found["data"]] == ["getUserDomains", "getUsers", None]
    assert found["data"][0]["caller"] == "admin"
    for query, count, shown in (
        ("operation=getUsers", 1, 1),
        ("status=404", 2, 2),
        ("caller=anna@example.org", 0, 0),
        ("limit=1", 3, 1),
        ("limit=0", 3, 0),
        ("status=404&operation=getUserDomains", 0, 0),
    ):
        found = await server.done("GET", f"/requests?{query}")
        assert (found["count"], len(found["data"])) == (count, shown), query
    assert "do you mean getUser?" in await server.refused("GET", "/requests?operation=getUser5")
    await server.refused("GET", "/requests?status=many")
    await server.done("DELETE", "/requests")
    assert (await server.done("GET", "/requests")) == {"count": 0, "data": []}


async def test_what_the_description_does_not_allow_is_shown(server: Controlled) -> None:
    """The requests that it does not allow, and no others."""
    await server.api("/domains/1/users")
    await server.api("/domains/1/users?limt=10")
    found = await server.done("GET", "/requests?problems=true")
    assert found["count"] == 1
    assert "limt" in found["data"][0]["problems"][0]


async def test_faults_strike_requests_and_no_control(server: Controlled) -> None:
    """As often as they should, until they are removed."""
    made = await server.done("POST", "/faults", {"status": 503, "times": 2, "operation": "getUserDomains"})
    assert (made["ID"], made["struck"]) == (1, 0)
    assert [(await server.api("/domains")).status for _ in range(3)] == [503, 503, 200]
    assert (await server.done("GET", "/faults/1"))["struck"] == 2
    assert (await server.done("GET", "/requests"))["data"][0]["faults"] == [1]
    await server.done("POST", "/faults", {"status": 500})
    assert (await server.api("/domains")).status == 500
    assert (await server.done("GET", "/faults"))["count"] == 2
    await server.done("DELETE", "/faults/2")
    assert (await server.api("/domains")).status == 200
    assert "no fault 2" in await server.refused("DELETE", "/faults/2")
    assert "no fault 2" in await server.refused("GET", "/faults/2")
    await server.done("DELETE", "/faults")
    assert (await server.done("GET", "/faults"))["count"] == 0
    assert "getDomains" in await server.refused("POST", "/faults", {"status": 503, "operation": "getDomain5"})
    assert "times" in await server.refused("POST", "/faults", {"status": 503, "times": 0})
    assert "delay" in await server.refused("POST", "/faults", {})


async def test_a_device_is_wiped(server: Controlled) -> None:
    """It connects, is told so, and has wiped itself."""
    phone = {"user": "anna@example.org", "device": "phone"}
    told = await server.done("POST", "/devices/syncs", {**phone, "asversion": "16.1", "foldersSynced": 3})
    assert told == {"resync": False, "status": 1}
    (device,) = (await server.api("/domains/1/users/1/sync")).body["data"]
    assert device["asversion"] == "16.1"
    assert "wipe" in await server.refused("POST", "/devices/wipes", phone)
    await server.server.admin.post("/domains/1/users/1/sync/phone/wipe", {"password": "correct horse"})
    assert (await server.done("POST", "/devices/syncs", phone))["status"] == 4
    wiped = await server.done("POST", "/devices/wipes", phone)
    assert wiped["status"] > 4
    assert "nobody" in await server.refused("POST", "/devices/syncs", {**phone, "user": "nobody@example.org"})


async def test_people_of_the_directory(server: Controlled) -> None:
    """They come, change and go; the directory can be away."""
    added = await server.done("POST", "/directory/people", {"uid": "carl", "mail": "carl@example.org"})
    assert added["mail"] == ["carl@example.org"]
    changed = await server.done("PATCH", "/directory/people/carl", {"title": "Boss", "photo": {"base64": "/wE="}})
    assert (changed["title"], changed["photo"]) == (["Boss"], [{"base64": "/wE="}])
    dn = quote(added["dn"], safe="")
    assert "title" not in await server.done("PATCH", f"/directory/people/{dn}", {"title": None})
    found = await server.done("PATCH", "/directory", {"away": True, "sizeLimit": 5})
    assert (found["away"], found["sizeLimit"], len(found["people"])) == (True, 5, 1)
    found = await server.done("PATCH", "/directory", {"away": False, "sizeLimit": None})
    assert (found["away"], found["sizeLimit"]) == (False, None)
    await server.server.admin.put("/system/mconf/ldap", found["config"])
    people = (await server.api("/domains/ldap/search?query=carl")).body["data"]
    assert [person["email"] for person in people] == ["carl@example.org"]
    await server.done("DELETE", "/directory/people/carl")
    assert "carl" in await server.refused("DELETE", "/directory/people/carl")
    await server.refused("PATCH", "/directory/people/carl", {"title": "x"})
    await server.refused("POST", "/directory/people", {"title": "x"})
    await server.refused("PATCH", "/directory", {"sizeLimit": 0})
    assert (await server.done("GET", "/directory"))["people"] == []


@pytest.mark.parametrize("user", ["nobody@example.org", "bert@example.org"])
async def test_who_cannot_log_in_is_named(server: Controlled, user: str) -> None:
    """Who is not there, and who has no role."""
    assert user in await server.refused("POST", "/logins", {"user": user})


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8080", "Origin": "http://evil.example:8080"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:5173", "Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_no_page_controls_it(server: Controlled, headers: dict[str, str]) -> None:
    """A page that somebody has open in a browser here, even one whose name leads to this machine."""
    for route in ROUTES:
        path = route.path.replace("{ID}", "1").replace("{name}", "x").replace("{person}", "x")
        answered = await server.control(route.method, path, {}, headers)
        assert answered.status == 403, route
    assert await usernames(server) == ["anna", "bert"]
    assert (await server.done("GET", "/requests"))["count"] == 1


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:8080", "172.17.0.2:8080"])
async def test_programs_control_it(server: Controlled, host: str) -> None:
    """Under any address, as through the port of a container, and its own pages."""
    for headers in ({}, {"Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Mode": "cors"}):
        assert (await server.control("POST", "/reset", headers={"Host": host, **headers})).status == 200
