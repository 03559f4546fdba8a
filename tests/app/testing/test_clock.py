"""The clock of a server of a test, and what goes by it."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from postroom.testing import PASSWORD, HarnessError, MovableClock, Server, running, running_in_thread
from tests.app.testing.test_running import status_of

CHRISTMAS = "2026-12-24 08:00:00"
ADMIN_OF_DOMAIN = {
    "roles": [{"name": "own domain", "permissions": [{"DomainAdmin": "*"}]}],
    "domains": ["example.org"],
    "users": [{"username": "anna", "roles": ["own domain"]}],
}


async def in_force(server: Server) -> bool:
    """Whether user 1 is out of office now."""
    return bool((await server.admin.get("/service/oof/anna@example.org"))["data"]["inForce"])


async def test_out_of_office_begins_and_ends_by_it() -> None:
    """To the second, in the time zone of the server."""
    away = {"state": 2, "startTime": "2026-12-24 12:00:00", "endTime": "2027-01-06 00:00:00"}
    seed = {"users": [{"username": "anna", "oof": away}]}
    async with running(seed, clock=CHRISTMAS, settings={"timezone": "Europe/Vienna"}) as server:
        found = []
        for moment in ("2026-12-24 11:59:59", "2026-12-24 12:00:00", "2027-01-05 23:59:59", "2027-01-06 00:00:00"):
            server.clock.set(moment)
            found.append(await in_force(server))
        assert found == [False, True, True, False]
        # An hour earlier in Vienna.
        server.clock.set(datetime(2027, 1, 5, 22, 59, 59, tzinfo=UTC))
        assert await in_force(server)


async def test_logins_end_by_it() -> None:
    """Whether the login is remembered or read from the store; `admin` stays logged in."""
    async with running(ADMIN_OF_DOMAIN, clock=CHRISTMAS, settings={"token_lifetime": 3600}) as server:
        anna, admin = await server.login("anna@example.org", PASSWORD), server.admin.token
        server.clock.move(3599)
        assert await status_of(server, anna.token) == 200
        server.clock.move(1)
        assert [await status_of(server, token) for token in (anna.token, admin)] == [401, 401]
        assert (await server.admin.get("/domains"))["count"] == 1
        assert await status_of(server, (await server.login("anna@example.org")).token) == 200
        # Turned back, as the machine's could be by somebody: the login has not ended yet.
        server.clock.move(-2)
        assert await status_of(server, anna.token) == 200


async def test_tokens_for_programs_end_by_it() -> None:
    """At the moment that was asked for."""
    async with running(clock=CHRISTMAS) as server:
        made = await server.admin.post("/tokens", {"name": "nightly", "expires": "2026-12-25 08:00:00"})
        headers = {"Authorization": f"Bearer {made['token']}"}
        for moment, status in (("2026-12-25 07:59:59", 200), ("2026-12-25 08:00:00", 401)):
            server.clock.set(moment)
            async with server.client() as session, session.get("/api/v1/domains", headers=headers) as response:
                assert response.status == status


async def test_everything_is_stamped_by_it() -> None:
    """Users, devices, logins, tasks and the journal."""
    async with running({"users": [{"username": "anna", "devices": ["phone"]}]}, clock=CHRISTMAS) as server:
        unix = int(datetime(2026, 12, 24, 8, tzinfo=UTC).timestamp())
        assert (await server.admin.get("/domains/1/users/1"))["properties"]["creationtime"] == CHRISTMAS
        server.clock.move(timedelta(hours=1))
        await server.admin.put("/service/sync/anna@example.org/tablet", {})
        devices = (await server.admin.get("/domains/1/users/1/sync"))["data"]
        assert [each["lastconnecttime"] for each in devices] == [unix, unix + 3600]
        await server.login("admin")
        sessions = (await server.admin.get("/sessions"))["data"]
        assert [each["created"] for each in sessions] == [CHRISTMAS, "2026-12-24 09:00:00"]
        lines = {"Content-Type": "application/x-ndjson"}
        await server.admin.request("POST", "/domains/1/users/bulk", b'{"create": {}}\n', headers=lines)
        (task,) = (await server.admin.get("/tasq/tasks"))["data"]
        assert task["created"] == "2026-12-24 09:00:00"
        assert server.requests[-1].moment == datetime(2026, 12, 24, 9, tzinfo=UTC)


async def test_failed_logins_are_forgotten_by_it() -> None:
    """Nobody has to wait for real."""
    async with running(clock=CHRISTMAS) as server:
        login = {"user": "admin", "pass": "wrong"}
        answers = [await server.admin.request("POST", "/login", login) for _ in range(12)]
        assert answers[-1].status == 429
        assert (await server.admin.request("POST", "/login", {**login, "pass": PASSWORD})).status == 429
        server.clock.move(60)
        assert (await server.admin.request("POST", "/login", {**login, "pass": PASSWORD})).status == 200


async def test_a_reset_puts_it_back() -> None:
    """A test begins at the same moment as the one before."""
    async with running(clock=CHRISTMAS) as server:
        server.clock.run(3600)
        server.clock.move(timedelta(days=400))
        await server.reset()
        assert server.clock.text(UTC) == CHRISTMAS
        assert (await server.admin.get("/domains"))["count"] == 0


def test_without_asyncio() -> None:
    """The clock is turned from the thread of the test."""
    with running_in_thread({"users": ["anna"]}, clock=CHRISTMAS) as server:
        server.clock.move(86400)
        server.admin.post("/domains/1/users", {"username": "bert", "password": PASSWORD})
        bert = server.admin.get("/domains/1/users/2")
        assert bert["properties"]["creationtime"] == "2026-12-25 08:00:00"


class Machine:
    """Stands in for the time of the machine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        monkeypatch.setattr("postroom.testing.clock.time.monotonic", lambda: self.seconds)
        monkeypatch.setattr("postroom.testing.clock.time.time", lambda: 1_000_000 + self.seconds)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine at 1,000,000."""
    return Machine(monkeypatch)


def test_it_runs_like_the_machine(machine: Machine) -> None:
    """Unless it is told something else."""
    clock = MovableClock(UTC)
    machine.seconds = 5
    assert (clock.now(), clock.unix(), clock.monotonic()) == (1_000_005, 1_000_005, 5)
    clock.move(100)
    machine.seconds = 6
    assert (clock.now(), clock.monotonic()) == (1_000_106, 106)
    clock.reset()
    assert clock.now() == 1_000_006


def test_it_runs_at_a_factor(machine: Machine) -> None:
    """From the moment on at which it is told so."""
    clock = MovableClock(UTC)
    machine.seconds = 10
    clock.run(60)
    machine.seconds = 11
    assert (clock.now(), clock.monotonic()) == (1_000_070, 70)
    clock.run()
    machine.seconds = 12
    assert clock.now() == 1_000_071


def test_it_stands_still(machine: Machine) -> None:
    """Where it was, or at another moment; then it may be turned back, but seconds for waits never go back."""
    clock = MovableClock(UTC)
    machine.seconds = 10
    clock.freeze()
    machine.seconds = 20
    assert (clock.now(), clock.monotonic()) == (1_000_010, 10)
    clock.move(-10)
    assert (clock.now(), clock.monotonic()) == (1_000_000, 10)
    clock.move(timedelta(seconds=3))
    assert (clock.now(), clock.monotonic()) == (1_000_003, 13)
    clock.run()
    machine.seconds = 21
    assert (clock.now(), clock.monotonic()) == (1_000_004, 14)
    clock.freeze("1970-01-01 00:00:00")
    assert clock.now() == 0


@pytest.mark.parametrize(("text", "zone"), [(CHRISTMAS, "UTC"), ("2026-12-24T09:00", "Europe/Vienna")])
def test_moments_are_in_the_time_zone_of_the_server(text: str, zone: str) -> None:
    """Unless they have one of their own."""
    clock = MovableClock(ZoneInfo(zone), text)
    assert clock.text(UTC) == CHRISTMAS
    clock.set(datetime(2026, 12, 24, 9, tzinfo=UTC))
    assert clock.text(UTC) == "2026-12-24 09:00:00"


def test_what_a_clock_cannot_do(machine: Machine) -> None:
    """The message says why, and nothing changes."""
    clock = MovableClock(UTC)
    with pytest.raises(HarnessError, match=r"cannot be turned back from 1970-01-12 .* to 1970-01-12 .*freeze\(\) it"):
        clock.move(-1)
    with pytest.raises(HarnessError, match="cannot be turned back"):
        clock.set("1970-01-01")
    for factor in (0, -1, float("inf"), float("nan")):
        with pytest.raises(HarnessError, match="cannot run at"):
            clock.run(factor)
    with pytest.raises(HarnessError, match="'tomorrow' is no moment"):
        clock.freeze("tomorrow")
    machine.seconds = 1
    assert clock.now() == 1_000_001
