"""While postroom runs, PostgreSQL goes away, hangs or is held by somebody: a 503 in time, and then it goes on."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from postroom.storage.postgresql.connection import WRITE_LOCK
from tests.support.nodes import ADMIN_PASSWORD, Nodes, nodes_of
from tests.support.postgresql import PASSWORD, PostgreSQL
from tests.support.waiting import until

pytestmark = [pytest.mark.postgresql, pytest.mark.torture]

AWAY = "The database cannot be used at the moment; try again later"
#: Seconds within which an answer has to come when the server hangs: a look after some seconds, and attempts to connect.
#: A busy machine gets a multiple of what that takes.
BOUND = 40


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """One that is going to be killed."""
    with PostgreSQL(fast=True, tcp=True, max_connections="14", superuser_reserved_connections="3") as running:
        yield running


class Asking:
    """A node, a login, and a user."""

    def __init__(self, nodes: Nodes, admin: Any, users: str) -> None:
        self.nodes, self.admin, self.users = nodes, admin, users

    async def all(self) -> dict[str, Any]:
        """Kind of operation -> (status, message), asked at the same time."""
        login = {"user": "admin", "pass": ADMIN_PASSWORD}
        calls: dict[str, tuple[str, str, Any, Any]] = {
            "status": ("GET", "/status", None, None),
            "login": ("POST", "/login", login, None),
            "read": ("GET", f"{self.users}/1", None, self.admin),
            "list": ("GET", f"{self.users}?match=anna&sort=username", None, self.admin),
            "search": ("GET", f"{self.users}?match=an&matchProps=displayname", None, self.admin),
            "write": ("PATCH", f"{self.users}/1", {"properties": {"title": "x"}}, self.admin),
            "device": ("PUT", "/service/sync/anna@a.example/phone", {"devicetype": "x"}, None),
            "task": ("GET", "/tasq/tasks", None, self.admin),
        }
        answers = await asyncio.gather(*(self.nodes.call(*call) for call in calls.values()))
        return {kind: (status, body.get("message")) for kind, (status, body) in zip(calls, answers, strict=True)}

    async def until_all_work(self) -> None:
        """Waits until every kind of operation is done again, without a restart."""
        for _ in range(200):
            if {status for status, _ in (await self.all()).values()} == {200}:
                return
            await asyncio.sleep(0.2)
        raise AssertionError(await self.all())


@pytest.fixture
async def asking(server: PostgreSQL, tmp_path: Path) -> AsyncIterator[Asking]:
    """A node on an empty database, over TCP and with a password."""
    server.start()
    name = server.make_database()
    url = f"{server.tcp_url(name)}?application_name=hidden-parameter"
    async with nodes_of(tmp_path, {"POSTROOM_DATABASE": url, "POSTROOM_KEY_FILE": str(tmp_path / "keys")}) as nodes:
        admin = await nodes.log_in()
        domain = await nodes.done("POST", "/system/domains", {"domainname": "a.example", "maxUser": 9}, admin)
        users = f"/domains/{domain['ID']}/users"
        await nodes.done("POST", users, {"username": "anna", "password": "x" * 12}, admin)
        found = Asking(nodes, admin, users)
        await found.until_all_work()
        yield found
    assert PASSWORD not in nodes.log
    assert "hidden-parameter" not in nodes.log
    assert "Traceback" not in nodes.log, nodes.log
    server.start()
    server.drop_database(name)


def assert_away(found: dict[str, Any]) -> None:
    """Each is a 503 with a sentence that names no server and no password."""
    assert {kind: status for kind, (status, _) in found.items()} == dict.fromkeys(found, 503)
    for kind, (_, message) in found.items():
        # A search may have reached its own limit before.
        assert message == AWAY or message.startswith(("Other searches", "This took longer")), (kind, message)
        assert PASSWORD not in message
        assert "127.0.0.1" not in message


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_the_server_is_away(server: PostgreSQL, asking: Asking, how: str) -> None:
    """Every kind of operation is a 503 at once, again and again; when the server is back, all go on."""
    getattr(server, how)()
    for _ in range(3):
        begun = time.monotonic()
        assert_away(await asking.all())
        assert time.monotonic() - begun < BOUND
    server.start()
    await asking.until_all_work()


async def test_the_server_hangs(server: PostgreSQL, asking: Asking) -> None:
    """A server that keeps its connections and says nothing is noticed: a 503 in time for whoever waits, and later."""
    server.pause()
    try:
        for _ in range(2):
            async with asyncio.timeout(BOUND):
                assert_away(await asking.all())
    finally:
        server.resume()
    await asking.until_all_work()


async def test_somebody_else_holds_the_lock(server: PostgreSQL, asking: Asking) -> None:
    """A write that does not get the lock is a 503 after the limit; reads and /status go on."""
    with psycopg.connect(asking_url(server)) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", (WRITE_LOCK,))
        begun = time.monotonic()
        found = await asking.all()
        assert 10 < time.monotonic() - begun < BOUND + 15
    assert found["write"] == (503, AWAY)
    assert found["device"] == (503, AWAY)
    assert {found[kind][0] for kind in ("status", "read", "list", "search", "task")} == {200}
    await asking.until_all_work()


def asking_url(server: PostgreSQL) -> str:
    """The database of the test, which is the newest."""
    row = server.admin.execute(
        "SELECT datname FROM pg_database WHERE datname LIKE 'test%' ORDER BY oid DESC"
    ).fetchone()
    assert row is not None
    return server.url(row[0])


async def test_no_connection_is_left(server: PostgreSQL, asking: Asking) -> None:
    """A server that lets no more in is a 503 for those who need a connection, and nothing breaks."""
    url = asking_url(server)
    others: list[psycopg.Connection[Any]] = []
    try:
        cut(server)
        while len(others) < 40:
            try:
                others.append(psycopg.connect(url))
            except psycopg.OperationalError:
                break
        assert_away(await asking.all())
    finally:
        for each in others:
            each.close()
    await asking.until_all_work()


def cut(server: PostgreSQL) -> None:
    """Ends all connections of postroom."""
    server.admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postroom'")


async def test_all_connections_are_cut_again_and_again(server: PostgreSQL, asking: Asking) -> None:
    """Reads go on as if nothing had happened; a write is done, or says that it was not."""
    for number in range(10):
        cut(server)
        found = await asking.all()
        written = found.pop("write"), found.pop("device")
        assert {status for status, _ in found.values()} == {200}, found
        assert {status for status, _ in written} <= {200, 503}, number


WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


def is_waiting(server: PostgreSQL) -> bool:
    """Whether a commit waits for a standby."""
    return server.admin.execute(WAITING).fetchone() is not None


@pytest.mark.parametrize("cancelled", [True, False])
async def test_a_standby_that_does_not_confirm(tmp_path: Path, cancelled: bool) -> None:
    """A commit that waits for a standby in vain, until its limit or until somebody cancels it, is a 503 that leaves it
    open; nothing is said to be done.
    """
    with PostgreSQL(fast=True) as own:
        settings = {"POSTROOM_DATABASE": own.url(own.make_database()), "POSTROOM_KEY_FILE": str(tmp_path / "keys")}
        async with nodes_of(tmp_path, settings) as nodes:
            admin = await nodes.log_in()
            own.admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            own.admin.execute("SELECT pg_reload_conf()")
            for number in range(100):
                # The server takes a moment to notice the new setting.
                asked = asyncio.create_task(nodes.call("POST", "/system/orgs", {"name": f"org {number}"}, admin))
                await until(lambda asked=asked: asked.done() or is_waiting(own), 30)  # type: ignore[misc]
                if not asked.done():
                    break
            if cancelled:
                own.admin.execute(f"SELECT pg_cancel_backend(pid) FROM ({WAITING}) AS x")
            status, body = await asked
            assert status == 503
            assert "look whether it has" in body["message"]
            own.admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
            own.admin.execute("SELECT pg_reload_conf()")
            for _ in range(100):
                if (await nodes.call("POST", "/system/orgs", {"name": "done"}, admin))[0] == 201:
                    break
                await asyncio.sleep(0.1)
            assert (await nodes.call("POST", "/system/orgs", {"name": "done"}, admin))[0] == 400
