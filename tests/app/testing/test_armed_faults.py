"""Requests meet the faults that are armed, and no others."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession

from postroom.testing import PASSWORD, HarnessError, Server, running

USER = "/api/v1/domains/1/users/1"
LOGINS_AWAY = {"message": "Logins cannot be checked at the moment; try again later"}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server with a user."""
    async with running({"users": ["anna"]}) as started:
        yield started


@pytest.fixture
async def client(server: Server) -> AsyncIterator[ClientSession]:
    """A client under test, logged in."""
    async with server.client() as session:
        session.headers["Authorization"] = f"Bearer {server.admin.token}"
        yield session


async def statuses(client: ClientSession, number: int, method: str = "GET", path: str = USER) -> list[int]:
    """Of so many requests, one after the other."""
    found = []
    for _ in range(number):
        async with client.request(method, path) as response:
            await response.read()
            found.append(response.status)
    return found


async def test_the_next_requests_get_a_status(server: Server, client: ClientSession) -> None:
    """As many as said, with this body and these headers; nothing of them is done."""
    fault = server.faults.add(
        status=503, body={"message": "Later"}, headers={"Retry-After": "1"}, times=2, operation="patchUser"
    )
    for number in (1, 2):
        async with client.patch(USER, json={"lang": "de_DE"}) as response:
            assert (response.status, await response.json()) == (503, {"message": "Later"})
            assert response.headers["Retry-After"] == "1"
            assert response.headers["X-Request-ID"]
        assert fault.struck == number
    assert (await server.admin.get("/domains/1/users/1"))["lang"] == ""
    async with client.patch(USER, json={"lang": "de_DE"}) as response:
        assert response.status == 200
    assert fault.is_over
    server.requests.assert_called("patchUser", times=2, status=503, caller="admin", body={"lang": "de_DE"})
    assert server.requests[0].faults == (fault,)
    shown = "fault 1 (operation='patchUser', times=2, status=503, body={'message': 'Later'}, headers="
    assert shown in str(server.requests[0])


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({"status": 500}, '{"message":"A fault of the test"}'),
        ({"status": 401}, '{"message":"Access denied","error":"A fault of the test"}'),
        ({"status": 502, "body": "<h1>Bad gateway</h1>"}, "<h1>Bad gateway</h1>"),
        ({"status": 200, "body": ""}, ""),
        ({"status": 200, "body": [1]}, "[1]"),
    ],
)
async def test_bodies(server: Server, client: ClientSession, fields: Any, body: str) -> None:
    """JSON, text as it is, or a message."""
    server.faults.add(**fields)
    async with client.get(USER) as response:
        assert (response.status, await response.text()) == (fields["status"], body)


@pytest.mark.parametrize(
    ("fields", "struck"),
    [
        ({}, [503, 503, 503, 503]),
        ({"operation": "getUser"}, [503, 200, 200, 200]),
        ({"method": "GET"}, [503, 200, 503, 200]),
        ({"path": "/domains/*/users"}, [200, 200, 503, 200]),
        ({"path": "/domains/*/users/*"}, [503, 503, 200, 503]),
        ({"path": "/api/v1/domains/1/**", "method": "GET"}, [503, 200, 503, 200]),
        ({"path": "/**/1", "method": "PATCH"}, [200, 503, 200, 200]),
        ({"path": "/domains/2/**"}, [200, 200, 200, 200]),
        ({"skip": 2}, [200, 200, 503, 503]),
        ({"skip": 1, "times": 1}, [200, 503, 200, 200]),
        ({"method": "OPTIONS"}, [200, 200, 200, 503]),
    ],
)
async def test_which_requests(server: Server, client: ClientSession, fields: Any, struck: list[int]) -> None:
    """By operation, method and path, and in their order."""
    server.faults.add(status=503, **fields)
    found = []
    for method, path in [("GET", USER), ("PATCH", USER), ("GET", USER.removesuffix("/1")), ("OPTIONS", USER)]:
        async with client.request(method, path, json={} if method == "PATCH" else None) as response:
            found.append(response.status)
    assert found == struck


async def test_a_probability_is_the_same_in_each_run(server: Server, client: ClientSession) -> None:
    """A generator of its own with a seed decides, so the same test meets the same faults."""
    runs = []
    for seed in (0, 0, 1):
        server.faults.clear()
        server.faults.add(status=503, probability=0.5, seed=seed)
        runs.append(await statuses(client, 20))
    assert runs[0] == runs[1] != runs[2]
    assert 4 < runs[0].count(503) < 16


async def test_several_faults(server: Server, client: ClientSession) -> None:
    """The first that strikes counts, delays add up with it, and whatever is over makes room for the next."""
    slow = server.faults.add(delay=0.001)
    first, second = server.faults.add(status=500, times=1), server.faults.add(status=502, times=2)
    late = server.faults.add(delay=0.001, skip=3)
    assert await statuses(client, 4) == [500, 502, 502, 200]
    assert [fault.struck for fault in server.faults] == [4, 1, 2, 1]
    assert server.requests[3].faults == (slow, late)
    assert server.requests[1].faults == (slow, second)
    server.faults.remove(first)
    server.faults.remove(slow.id)
    server.faults.remove(late)
    assert list(server.faults) == [second]
    assert str(second) in str(server.faults)


async def test_a_delay(server: Server, client: ClientSession) -> None:
    """Comes before the request is done, or after: only then has a client that does not wait changed something."""
    for when, lang in (("before", ""), ("after", "de_DE")):
        await server.reset()
        client.headers["Authorization"] = f"Bearer {server.admin.token}"
        server.faults.add(delay=60, when=when, operation="patchUser")  # type: ignore[arg-type]
        patched = asyncio.create_task(client.patch(USER, json={"lang": "de_DE"}).__aenter__())
        while not server.requests or (when == "after" and server.requests[0].status is None):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        patched.cancel()
        assert (await server.admin.get("/domains/1/users/1"))["lang"] == lang
        server.requests.assert_called("patchUser", times=1)
        assert server.requests[0].status == (200 if when == "after" else None)
        assert server.requests[0].caller == "admin"


@pytest.mark.parametrize("delay", [{"uniform": [0.001, 0.01]}, {"lognormal": [0.002, 0.5]}])
async def test_delays_of_a_distribution(server: Server, delay: Any) -> None:
    """They differ, and are the same in each run."""
    one, other = (server.faults.add(delay=delay, seed=7) for _ in range(2))
    drawn = [one.seconds() for _ in range(50)]
    assert drawn == [other.seconds() for _ in range(50)]
    assert len(set(drawn)) == 50
    assert 0.0001 < min(drawn) < max(drawn) < 0.1


async def test_a_status_after_the_request_is_done(server: Server, client: ClientSession) -> None:
    """As of a proxy that has lost patience: the client sees a 504, and the change is stored."""
    server.faults.add(status=504, when="after", times=1)
    async with client.patch(USER, json={"lang": "de_DE"}) as response:
        assert response.status == 504
    assert (await server.admin.get("/domains/1/users/1"))["lang"] == "de_DE"


async def test_a_login_expires(server: Server, client: ClientSession) -> None:
    """In the middle of the work: nothing of the request is done, and only a new login goes on."""
    fault = server.faults.add(login="expired", skip=1)
    login = {"user": "admin", "pass": PASSWORD}
    async with server.client() as another:
        assert await statuses(another, 1, path="/api/v1/status") == [200]
        async with another.post("/api/v1/login", data=login) as response:
            cookies = {"grommunioAuthJwt": (await response.json())["grommunioAuthJwt"]}
        async with another.get(USER, cookies=cookies) as response:
            assert response.status == 200
        async with another.post("/api/v1/login", cookies=cookies) as response:
            assert (response.status, (await response.json())["message"]) == (401, "Access denied")
        async with another.get(USER, cookies=cookies) as response:
            assert response.status == 401
        async with another.post("/api/v1/login", data=login) as response:
            assert response.status == 200
    assert fault.struck == 2
    token = (await server.admin.post("/tokens", {"name": "nightly"}))["token"]
    async with client.get(USER, headers={"Authorization": f"Bearer {token}"}) as response:
        assert response.status == 200
    assert (await server.admin.get("/domains"))["count"] == 1


async def test_a_directory_is_away(server: Server, client: ClientSession) -> None:
    """For requests that ask it, with connections that are open or new; others go on."""
    await server.admin.put("/system/mconf/ldap", server.directory.config)
    server.directory.add("bert")
    await server.admin.post("/domains/1/ldap/downsync", None, {"import": "true", "timeout": 60})
    downsync, login = f"{USER.removesuffix('1')}2/downsync", {"user": "bert@example.org", "pass": PASSWORD}
    fault = server.faults.add(directory="away", skip=1, times=3)
    assert await statuses(client, 1) == [200]
    assert await statuses(client, 4, "PUT", downsync) == [200, 503, 503, 503]
    server.requests.assert_called("putDownsync", times=3, status=503)
    assert [request.faults for request in server.requests.of("putDownsync")] == [(), (fault,), (fault,), (fault,)]
    async with client.post("/api/v1/login", data=login) as response:
        assert response.status == 401  # without a role
    server.faults.add(directory="away", operation="postLogin")
    async with client.post("/api/v1/login", data=login) as response:
        assert (response.status, await response.json()) == (503, LOGINS_AWAY)
    assert await statuses(client, 1, "PUT", downsync) == [200]
    await server.admin.post("/domains/1/ldap/downsync", None, {"timeout": 60})
    # What is answered then may be lost, too.
    server.faults.add(directory="away", operation="putDownsync")
    server.faults.add(cut="middle")
    with pytest.raises(ClientError):
        await statuses(client, 1, "PUT", downsync)
    assert (server.requests[-1].status, len(server.requests[-1].faults)) == (503, 2)


async def test_who_hangs_up_is_in_the_journal(server: Server) -> None:
    """Also without a fault: a body that stays incomplete."""
    _, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    head = (
        f"PATCH {USER} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {server.admin.token}\r\nContent-Length: 9\r\n\r\n"
    )
    writer.write(head.encode())
    await writer.drain()
    writer.close()
    while not server.requests:  # noqa: ASYNC110 - nobody tells it
        await asyncio.sleep(0.001)
    (request,) = server.requests
    assert (request.operation, request.status, request.body) == ("patchUser", None, None)
    assert str(request).startswith("no answer PATCH ")


async def test_a_request_of_before_a_reset_is_not_in_the_journal(server: Server, client: ClientSession) -> None:
    """Its answer comes when another test has begun."""
    server.faults.add(delay=0.05, operation="getUser")
    asked = asyncio.create_task(client.get(USER).__aenter__())
    while not server.requests:  # noqa: ASYNC110 - nobody tells it
        await asyncio.sleep(0.001)
    await server.reset()
    await asked
    assert list(server.requests) == []


async def test_a_server_ends_in_spite_of_delays() -> None:
    """At once."""
    async with running() as server, server.client() as client:
        server.faults.add(delay=3600)
        asked = asyncio.create_task(client.get("/api/v1/status").__aenter__())
        while not server.requests:  # noqa: ASYNC110 - nobody tells it
            await asyncio.sleep(0.001)
        await server.close()
        with pytest.raises(ClientError):
            await asked


async def test_no_fault_strikes_the_clients_of_the_test(server: Server, client: ClientSession) -> None:
    """They prepare the server, and look what has become of it."""
    fault = server.faults.add(cut="before")
    assert (await server.admin.get("/domains"))["count"] == 1
    async with client.get("/docs") as response:
        assert response.status == 200
    assert fault.struck == 0


async def test_whether_faults_have_struck(server: Server, client: ClientSession) -> None:
    """A test whose fault never strikes tests nothing."""
    server.faults.add(status=503, times=2)
    server.faults.add(delay=0.001)
    for number in (0, 1):
        with pytest.raises(AssertionError, match=rf"Not all .*server\.admin(.|\n)*fault 1 .*has struck {number} times"):
            server.faults.assert_struck()
        await statuses(client, 1)
    server.faults.assert_struck()


async def test_a_reset_disarms(server: Server, client: ClientSession) -> None:
    """A test begins without the faults of the one before."""
    server.faults.add(status=503)
    await server.reset()
    assert len(server.faults) == 0
    assert str(server.faults) == "none"
    assert await statuses(client, 1) == [401]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"status": 503, "operation": "pathUser"}, "no operation 'pathUser'; do you mean patchUser.*openapi.json"),
        ({"status": 503, "operation": "zzz"}, "all are in the description"),
        ({"status": 503, "operation": "patchUser", "method": "GET"}, "method: GET can never .*patchUser has PATCH"),
        ({"status": 503, "operation": "patchUser", "path": "/domains"}, "patchUser has /domains/{domainID}/users/"),
        ({"status": 503, "path": "/domian/1/users"}, r"path: /domian/1/users can never .* nearest is /domains/"),
        ({"status": 503, "path": "/domains?level=1"}, "path: Must begin with / and have no query"),
        ({"status": 503, "path": "/status", "method": "PUT"}, "method: PUT can never match: /status has GET"),
        ({"status": 503, "method": "get"}, "method: Must be one of: GET, "),
        ({"status": 99}, "status: Must be 200 to 599"),
        ({"status": "503"}, "status: Not a valid integer"),
        ({"status": 503, "probability": 0}, "probability: Must be above 0 and at most 1"),
        ({"status": 503, "probability": 1.5}, "probability: Must be above 0 and at most 1"),
        ({"status": 503, "times": 0}, "times: Must be 1 or more"),
        ({"status": 503, "cut": "after"}, "Only one of status and cut .*make a fault of each"),
        ({"times": 3}, "Says nothing of what happens: give delay or one of status"),
        ({"cut": "never"}, "cut: Must be one of: before, middle, after"),
        ({"cut": "before", "body": "x"}, "body: Needs status beside it"),
        ({"cut": "after", "when": "after", "delay": 1}, "when: cut has its own moment: leave it out"),
        ({"status": 503, "reset": True}, "reset: Needs cut beside it"),
        ({"status": 503, "headers": {"A b": "c"}}, "headers.A b.key: Not the name of a header"),
        ({"status": 503, "headers": {"A": "b\r\nC: d"}}, "headers.A.value: Must be one line"),
        ({"delay": 0}, "delay: Must be above 0"),
        ({"delay": 4000}, "delay: Must be above 0, at most 3600 s"),
        ({"delay": {"uniform": [2, 1]}}, "delay: Must be above 0, .*in this order"),
        ({"delay": {"normal": [2, 1]}}, "delay: Neither seconds nor a distribution"),
        ({"delay": {"uniform": 2}}, "delay: Neither seconds nor a distribution"),
        ({"statsu": 503}, "statsu: Unknown field. A fault has operation,"),
        ([], "A fault is an object"),
    ],
)
async def test_what_cannot_be_is_named(server: Server, fields: Any, reason: str) -> None:
    """With what is wrong, where, and what to write instead."""
    with pytest.raises(HarnessError, match=f"faults.add: .*{reason}"):
        server.faults.load(fields)
    assert len(server.faults) == 0


async def test_a_fault_that_another_hides_is_refused(server: Server) -> None:
    """It would never strike, and its test would pass without it."""
    server.faults.add(delay=1)
    server.faults.add(login="expired")
    server.faults.add(status=500, operation="getUser")
    server.faults.add(status=500, times=1)
    with pytest.raises(
        HarnessError, match=r"fault 3 .* strikes all of these requests already. Remove that, or give it"
    ):
        server.faults.add(cut="before", operation="getUser")
    server.faults.add(cut="after")
    server.faults.add(directory="away")
    with pytest.raises(HarnessError, match=r"faults\.remove: There is no fault 99; armed are 1, 2, 3, 4, 6, 7"):
        server.faults.remove(99)


async def test_too_many_faults(server: Server) -> None:
    """A loop that arms one for each request is a mistake."""
    for _ in range(100):
        server.faults.add(status=500, times=1)
    with pytest.raises(HarnessError, match=r"100 faults already; faults\.clear"):
        server.faults.add(status=500)
