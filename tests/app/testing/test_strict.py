"""Strict mode names what the description does not allow, and nothing else."""

import copy
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession

from postroom.testing import PASSWORD, HarnessError, RefusedError, Server, running, running_in_thread
from postroom.testing.description import Description
from postroom.testing.strict import description

API = "/api/v1"
JSON = {"Content-Type": "application/json"}
USERS = f"{API}/domains/1/users"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server with a user, in strict mode."""
    async with running({"users": ["anna"]}, strict=True) as started:
        yield started
        started.requests.clear()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[ClientSession]:
    """A client under test, logged in."""
    async with server.client() as session:
        session.headers["Authorization"] = f"Bearer {server.admin.token}"
        yield session


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("GET", USERS, {"params": "limit=3&level=2&ID=1,2&sort=username&sort=ID,desc&mlist=&match=a&status="}),
        ("HEAD", USERS, {}),
        ("OPTIONS", USERS, {}),
        ("GET", "/docs", {}),
        ("GET", f"{USERS}/1", {"headers": {"Content-Type": "application/json"}}),
        ("GET", f"{USERS}/99", {}),
        ("PATCH", f"{USERS}/1", {"json": {"lang": "de_DE", "properties": {"displayname": "Anna"}, "forward": None}}),
        ("POST", USERS, {"json": {"username": "anna", "password": PASSWORD}}),
        ("POST", f"{API}/login", {"data": {"user": "admin", "pass": PASSWORD}}),
        ("POST", f"{API}/login", {"json": {"user": "admin", "pass": "wrong"}}),
        ("POST", f"{API}/login", {}),
        ("PUT", f"{USERS}/1/delegates", {"json": ["anna@example.org"]}),
        (
            "POST",
            f"{USERS}/bulk",
            {"data": b'{"delete": {"ID": 1}}\n', "headers": {"Content-Type": "application/x-ndjson"}},
        ),
        ("GET", f"{API}/openapi.json", {}),
        ("GET", f"{API}/audit", {"headers": {"Accept": "application/x-ndjson"}}),
    ],
)
async def test_what_is_described(server: Server, client: ClientSession, method: str, path: str, options: Any) -> None:
    """Passes, also when the answer is an error that is described."""
    async with client.request(method, path, **options) as response:
        await response.read()
    server.requests.assert_valid()
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("method", "path", "options", "problem"),
    [
        ("GET", f"{API}/domian", {}, "GET /api/v1/domian: there is no such operation"),
        ("DELETE", f"{API}/domains", {}, "DELETE /api/v1/domains: there is no such operation"),
        ("GET", f"{USERS}?colour=red", {}, "query: Additional properties are not allowed ('colour' was unexpected)"),
        ("GET", f"{USERS}?limit=ten", {}, 'query /limit: the value is not of type "integer": "ten"'),
        ("GET", f"{USERS}?limit=1&limit=2", {}, 'query /limit: the value is not of type "integer"'),
        ("GET", f"{USERS}?limit=-1", {}, "query /limit: the value is less than the minimum of 0: -1"),
        ("GET", f"{USERS}?ID=1,b", {}, 'query /ID/1: the value is not of type "integer": "b"'),
        ("GET", f"{API}/domains/x/users", {}, 'path /domainID: the value is not of type "integer": "x"'),
        ("PATCH", f"{USERS}/1", {"json": {"lnag": "de"}},
         "body: Additional properties are not allowed ('lnag' was unexpected)"),
        ("PATCH", f"{USERS}/1", {"json": {"lang": 5}}, 'body /lang: the value is not of types "null", "string": 5'),
        ("PATCH", f"{USERS}/1", {"json": [1]}, 'body: the value is not of type "object"'),
        ("PATCH", f"{USERS}/1", {"data": b"{", "headers": JSON}, "body: is no JSON"),
        ("PATCH", f"{USERS}/1", {}, "body: there is none"),
        ("PATCH", f"{USERS}/1", {"data": "x", "headers": {"Content-Type": "text/plain"}},
         "body: text/plain is not described, but application/json"),
        ("PUT", f"{USERS}/1/password", {"json": {"new": 12}}, 'body /new: the value is not of type "string"'),
    ],
)  # fmt: skip
async def test_what_is_not(
    server: Server, client: ClientSession, method: str, path: str, options: Any, problem: str
) -> None:
    """Is named, with what was sent unless it is a secret."""
    async with client.request(method, path, **options) as response:
        await response.read()
    assert problem in server.requests[0].problems
    with pytest.raises(AssertionError, match=f"Not as the API is described:\n.* {method} "):
        server.requests.assert_valid()
    assert "secret" not in str(server.requests)


async def test_answers_are_compared(server: Server, client: ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not fit is one of the server, but whoever tests a client has to know."""
    document = copy.deepcopy(description().document)
    document["components"]["schemas"]["User"]["required"] = ["colour"]
    other = Description(document, mask="the value")
    monkeypatch.setattr("postroom.testing.strict.description", lambda: other)
    async with client.get(f"{USERS}/1") as response:
        assert response.status == 200
    assert server.requests[0].problems == ('answer: "colour" is a required property',)


async def test_what_a_fault_answers_need_not_be_described(server: Server, client: ClientSession) -> None:
    """But what it strikes has to be."""
    server.faults.add(status=418, body="tea", times=1)
    server.faults.add(broken="garbled", times=1)
    for _ in range(2):
        async with client.get(f"{USERS}?colour=red") as response:
            await response.read()
    assert [len(request.problems) for request in server.requests] == [1, 1]


async def test_the_block_fails() -> None:
    """At its end, unless it has failed before; without strict mode, nothing is compared."""
    with pytest.raises(AssertionError, match="there is no such operation"):
        async with running(strict=True) as server:
            await server.admin.request("GET", "/nothing")
    with pytest.raises(RefusedError, match="404"):
        async with running(strict=True) as server:
            await server.admin.get("/nothing")
    async with running() as server:
        await server.admin.request("GET", "/nothing")
        with pytest.raises(HarnessError, match="start the server with strict=True"):
            server.requests.assert_valid()


def test_the_block_fails_without_asyncio() -> None:
    """In the same way."""
    with pytest.raises(AssertionError, match="there is no such operation"), running_in_thread(strict=True) as server:
        server.admin.request("GET", "/nothing")
    with pytest.raises(RefusedError, match="404"), running_in_thread(strict=True) as server:
        server.admin.get("/nothing")


async def test_another_package_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says which."""
    description.cache_clear()
    monkeypatch.setitem(sys.modules, "postroom.testing.description", None)
    with pytest.raises(HarnessError, match=r"pip install 'postroom\[testing\]'"):
        async with running(strict=True):
            pass  # pragma: no cover
