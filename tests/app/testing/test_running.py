"""`postroom.testing`: servers that begin in a moment, go back, and share nothing."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack

import pytest
from aiohttp import ClientError

from postroom.storage.tasks import ERROR
from postroom.testing import (
    PASSWORD,
    BlockingServer,
    HarnessError,
    RefusedError,
    Server,
    running,
    running_in_thread,
)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server with a domain 1, example.org, and a user 1, anna, who administers it."""
    async with running() as started:
        await populate(started)
        yield started


async def populate(server: Server) -> None:
    """Makes domain 1 and user 1."""
    await server.admin.post("/system/domains", {"domainname": "example.org", "maxUser": 10})
    await server.admin.post("/domains/1/users", {"username": "anna", "password": PASSWORD})
    permissions = [{"permission": "DomainAdmin", "params": 1}]
    await server.admin.post("/system/roles", {"name": "own domain", "permissions": permissions, "users": [1]})


async def names(server: Server) -> list[str]:
    """The users of domain 1."""
    return [user["username"] for user in (await server.admin.get("/domains/1/users"))["data"]]


async def status_of(server: Server, token: str | None, path: str = "/profile") -> int:
    """The status of a call with a login or a token."""
    headers = {"Authorization": f"Bearer {token}"}
    async with server.client() as session, session.get(f"/api/v1{path}", headers=headers) as response:
        return response.status


async def test_the_rules_are_the_real_ones(server: Server) -> None:
    """What the service refuses is refused, with its reason."""
    with pytest.raises(RefusedError, match="username: ") as refused:
        await server.admin.post("/domains/1/users", {"username": "anna", "password": PASSWORD})
    assert refused.value.answer.status == 400
    with pytest.raises(RefusedError, match="401"):
        await server.login("anna@example.org", "wrong")
    answer = await server.admin.request("GET", "/domains/7/users")
    assert (answer.status, answer.headers["Cache-Control"]) == (404, "no-store")


async def test_a_user_logs_in_with_or_without_a_password(server: Server) -> None:
    """Both logins are those of the user, with their permissions only."""
    for client in (await server.login("ANNA@example.org"), await server.login("anna@example.org", PASSWORD)):
        assert (await client.get("/profile"))["user"]["username"] == "anna@example.org"
        assert (await client.request("GET", "/system/orgs")).status == 403


@pytest.mark.parametrize(("user", "reason"), [("nobody@example.org", "no user"), ("bert@example.org", "a role")])
async def test_who_cannot_log_in_is_named(server: Server, user: str, reason: str) -> None:
    """The message says why there is no login without a password."""
    await server.admin.post("/domains/1/users", {"username": "bert", "password": PASSWORD})
    with pytest.raises(HarnessError, match=reason):
        await server.login(user)


async def test_a_reset_goes_back_to_the_beginning(server: Server) -> None:
    """Everything stored is gone, IDs begin anew, and connections stay open."""
    connected = server.admin._session.connector
    assert connected is not None
    before = connected._conns.copy()
    await server.reset()
    assert await server.admin.get("/domains") == {"count": 0, "data": []}
    await populate(server)
    assert await names(server) == ["anna@example.org"]
    assert connected._conns.keys() == before.keys()


async def test_a_reset_ends_all_logins(server: Server) -> None:
    """Otherwise a login of the last test would be one of whoever has the same ID in this test."""
    anna, admin = await server.login("anna@example.org"), server.admin.token
    await server.reset()
    await populate(server)
    assert [await status_of(server, token) for token in (anna.token, admin, server.admin.token)] == [401, 401, 200]


async def test_a_reset_forgets_failed_logins_and_tasks(server: Server) -> None:
    """Nothing that the server keeps outside of its store stays."""
    for _ in range(10):
        await server.admin.request("POST", "/login", {"user": "admin", "pass": "wrong"})
    refused = await server.admin.request("POST", "/login", {"user": "admin", "pass": PASSWORD})
    assert refused.status == 429
    await server.admin.request("POST", "/tasq/stop")
    await server.reset()
    await server.login("admin", PASSWORD)
    assert (await server.admin.get("/tasq/status"))["running"] is True
    assert (await server.admin.get("/tasq/tasks"))["data"] == []


async def test_permissions_after_a_reset_are_not_remembered_ones(server: Server) -> None:
    """As many changes of permissions as before the reset are not taken for no change at all."""
    anna = await server.login("anna@example.org")
    name = await server.snapshot()
    await server.admin.patch("/domains/1/users/1/roles", {"roles": []})
    assert (await anna.request("GET", "/domains/1/users")).status == 401
    await server.restore(name)
    assert (await anna.request("GET", "/domains/1/users")).status == 200
    await server.admin.patch("/domains/1/users/1/roles", {"roles": []})
    assert (await anna.request("GET", "/domains/1/users")).status == 401


async def test_changes_are_on_record_after_a_reset_as_before(server: Server) -> None:
    """Each store notes its own changes only, also one that takes over the connection of another."""
    found = []
    for _ in range(3):
        found.append([each["operation"] for each in (await server.admin.get("/audit"))["data"]])
        await server.reset()
        await populate(server)
    assert len(found[0]) >= 3
    assert found[0] == found[1] == found[2]


async def test_a_snapshot_is_restored_as_often_as_wanted(server: Server) -> None:
    """Snapshots are independent, and logins from before one are valid again."""
    anna = await server.login("anna@example.org")
    await server.snapshot("anna alone")
    await server.admin.post("/domains/1/users", {"username": "bert", "password": PASSWORD})
    both = await server.snapshot()
    for _ in range(2):
        await server.restore("anna alone")
        assert await names(server) == ["anna@example.org"]
        await server.admin.delete("/domains/1/users/1")
        await server.restore(both)
        assert await names(server) == ["anna@example.org", "bert@example.org"]
    assert await status_of(server, anna.token) == 200
    await server.reset()
    assert await server.admin.get("/domains") == {"count": 0, "data": []}


async def test_a_snapshot_of_a_running_task_restores_it_as_interrupted(server: Server) -> None:
    """Nobody waits for ever for a task whose work does not go on."""
    going_on = asyncio.Event()

    async def lines() -> AsyncIterator[bytes]:
        yield json.dumps({"create": {"username": "bert", "password": PASSWORD}}).encode() + b"\n"
        await going_on.wait()

    headers = {"Authorization": f"Bearer {server.admin.token}", "Content-Type": "application/x-ndjson"}
    async with server.client() as session:
        url = "/api/v1/domains/1/users/bulk"
        sending = asyncio.create_task(session.post(url, data=lines(), headers=headers).__aenter__())
        while len(await names(server)) < 2:  # noqa: ASYNC110 - nobody tells it
            await asyncio.sleep(0.01)
        name = await server.snapshot()
        await server.restore(name)
        going_on.set()
        with contextlib.suppress(ClientError, ConnectionError):
            await (await sending).read()
    (task,) = (await server.admin.get("/tasq/tasks"))["data"]
    assert task["state"] == ERROR


async def test_a_missing_snapshot_is_named(server: Server) -> None:
    """The message lists those that there are."""
    with pytest.raises(HarnessError, match=r"no snapshot 'lost': none was made"):
        await server.restore("lost")
    await server.snapshot("kept")
    with pytest.raises(HarnessError, match="no snapshot 'the beginning': there are 'kept'"):
        await server.restore("the beginning")
    with pytest.raises(HarnessError, match="choose another"):
        await server.snapshot("the beginning")


async def test_servers_share_nothing() -> None:
    """Fifty at once need no thread each, and a login for one is none for another."""
    before = threading.active_count()
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(running()) for _ in range(50)]
        await asyncio.gather(*(populate(server) for server in servers[::2]))
        counts = [(await server.admin.get("/domains"))["count"] for server in servers]
        assert counts == [1, 0] * 25
        assert len({server.url for server in servers}) == 50
        assert await status_of(servers[1], servers[0].admin.token) == 401
        assert threading.active_count() - before < 10


async def test_without_a_port_only_its_own_clients_reach_it() -> None:
    """The client of such a server uses a socket that only the user of this process can open."""
    async with running(port=None) as server:
        await populate(server)
        assert await names(server) == ["anna@example.org"]
        async with server.client() as session, session.get("/api/v1/status") as response:
            assert response.status == 200
        assert server.url == "http://localhost"


async def test_a_port_in_use_is_named(server: Server) -> None:
    """The message says which port, and what to do."""
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(HarnessError, match=f"Port {port} on 127.0.0.1 cannot be used .*leave it out"):
        async with running(port=port):
            pass  # pragma: no cover


async def test_settings_are_those_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """They count as they do in the environment, which does not count itself."""
    monkeypatch.setenv("POSTROOM_PASSWORD_MIN_LENGTH", "200")
    async with running(settings={"password_min_length": 3, "admin_password": "another"}) as server:
        await server.admin.post("/system/domains", {"domainname": "example.org", "maxUser": 10})
        await server.admin.post("/domains/1/users", {"username": "anna", "password": "abc"})
        await server.login("admin", "another")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"host": "0.0.0.0"}, "host cannot be chosen"),
        ({"database": "postroom.sqlite3"}, "database cannot be chosen"),
        ({"backup_folder": "backups"}, "backup_folder cannot be chosen"),
        ({"colour": "red"}, "no setting colour"),
        ({"timezone": "Mars"}, "timezone: "),
    ],
)
async def test_settings_that_cannot_be_are_named(settings: dict[str, object], reason: str) -> None:
    """A server of a test is in memory and on loopback, whatever is asked for."""
    with pytest.raises(HarnessError, match=reason):
        async with running(settings=settings):
            pass  # pragma: no cover


def test_without_asyncio() -> None:
    """Servers in a thread do the same; all of a process share it."""
    before = threading.active_count()
    with ExitStack() as stack:
        one, other = (stack.enter_context(running_in_thread()) for _ in range(2))
        one.admin.post("/system/domains", {"domainname": "example.org", "maxUser": 10})
        one.admin.post("/domains/1/users", {"username": "anna", "password": PASSWORD})
        one.admin.put("/domains/1/users/1/oof", {"state": 1})
        one.admin.patch("/domains/1/users/1", {"aliases": ["a@example.org"]})
        assert users_of(one) == ["anna@example.org"]
        assert one.login("admin", PASSWORD).get("/profile")["user"]["username"] == "admin"
        assert one.login("admin").token != one.admin.token
        name = one.snapshot()
        one.admin.delete("/domains/1/users/1")
        one.restore(name)
        assert users_of(one) == ["anna@example.org"]
        one.reset()
        assert one.admin.get("/domains", {"level": 0}) == other.admin.get("/domains") == {"count": 0, "data": []}
        assert other.admin.request("GET", "/nothing").status == 404
        assert threading.active_count() <= before + 1


def users_of(server: BlockingServer) -> list[str]:
    """The users of domain 1."""
    return [user["username"] for user in server.admin.get("/domains/1/users")["data"]]
