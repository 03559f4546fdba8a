"""What a server was asked can be looked at afterwards."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from postroom.testing import PASSWORD, HarnessError, Server, running


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server with a user."""
    async with running({"users": ["anna"]}) as started:
        yield started


async def test_a_request_is_kept_with_everything(server: Server) -> None:
    """Operation, caller, path, body, status and time."""
    await server.admin.patch("/domains/1/users/1", {"lang": "de_DE"}, {"x": 1})
    (request,) = server.requests
    assert (request.operation, request.method, request.caller) == ("patchUser", "PATCH", "admin")
    assert (request.path, request.body) == ("/api/v1/domains/1/users/1?x=1", {"lang": "de_DE"})
    assert request.status == 200
    assert 0 < request.seconds < 60
    assert request.moment.tzinfo is not None
    assert server.requests[0] == server.requests[-1] == server.requests[:1][0]
    shown = r'200 PATCH /api/v1/domains/1/users/1\?x=1 \(patchUser, admin, [\d.]+ ms\) {"lang":"de_DE"}'
    assert re.fullmatch(shown, str(server.requests))


async def test_no_secret_is_kept(server: Server) -> None:
    """Of JSON, of forms, of lists, and of what cannot be parsed."""
    mail = {"srcServer": "mail.example.net", "srcUser": "anna", "srcPassword": "secret one"}
    await server.admin.patch("/domains/1/users/1", {"fetchmail": [mail], "changePassword": True})
    async with server.client() as session:
        await session.post("/api/v1/login", data={"user": "admin", "pass": "secret two"})
        await session.post("/api/v1/login", data=b'{"user": "admin", "pass": "secret three"')
    await server.admin.request("PUT", "/passwd", {"old": "secret four", "new": "secret five"})
    await server.admin.request("PUT", "/domains/1/users/1/password", {"new": "secret six"})
    assert "secret" not in str(server.requests)
    assert server.requests[0].body["changePassword"] is True
    assert server.requests[1].body == {"user": "admin", "pass": "***"}


async def test_what_is_refused_is_kept_too(server: Server) -> None:
    """Unknown paths, missing logins and bodies that nobody has read."""
    await server.admin.request("GET", "/nothing")
    async with server.client() as session:
        await session.post("/api/v1/domains/1/users", json={"username": "bert"})
        await session.get("/api/v1/domains/1/users", data=b"a body")
    await server.admin.request("POST", "/domains/1/users/bulk", b'{"create": {}}\n')
    found = [(each.operation, each.status, each.caller, each.body) for each in server.requests]
    assert found[:3] == [(None, 404, None, None), ("postUser", 401, None, None), ("getUsers", 401, None, None)]
    assert found[3][:3] == ("bulkUsers", 400, "admin")


async def test_a_reset_clears_it(server: Server) -> None:
    """A test begins with an empty journal."""
    await server.admin.get("/domains")
    assert len(server.requests) == 1
    await server.reset()
    assert (list(server.requests), str(server.requests)) == ([], "none")


async def test_expectations(server: Server) -> None:
    """What was asked passes; what was not fails, and shows all requests."""
    requests = server.requests
    await server.admin.post(
        "/domains/1/users", {"username": "bert", "password": PASSWORD, "properties": {"title": "x"}}
    )
    await server.admin.patch("/domains/1/users/2", {"lang": "de_DE"})
    await server.admin.request("PATCH", "/domains/1/users/7", {"lang": "de_DE"})
    requests.assert_called("postUser", body={"username": "bert", "properties": {"title": "x"}})
    requests.assert_called("patchUser", times=2)
    requests.assert_called("patchUser", times=1, status=404, caller="admin")
    requests.assert_called("getUser", times=0)
    requests.assert_order("postUser", "patchUser", "patchUser")
    requests.assert_only("postUser", "patchUser")
    missing: list[dict[str, Any]] = [
        {"times": 1},
        {"body": {"lang": "en_GB"}},
        {"caller": "anna"},
        {"status": 500},
        {"body": []},
    ]
    for wanted in missing:
        with pytest.raises(AssertionError, match=r"patchUser.*: wanted .*, found \d. All requests:\n201 POST "):
            requests.assert_called("patchUser", **wanted)
    with pytest.raises(AssertionError, match="Not in the order patchUser, postUser"):
        requests.assert_order("patchUser", "postUser")
    with pytest.raises(AssertionError, match="Unexpected requests:\n201 POST"):
        requests.assert_only("patchUser")


async def test_an_unknown_operation_is_a_mistake_of_the_test(server: Server) -> None:
    """Otherwise `times=0` would always pass."""
    for ask in (server.requests.of, server.requests.assert_called, server.requests.assert_order):
        with pytest.raises(HarnessError, match=r"no operation 'pathUser'; do you mean patchUser\?"):
            ask("pathUser")
    with pytest.raises(HarnessError, match="all are in the description"):
        server.requests.assert_only("zzz")
