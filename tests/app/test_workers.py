"""Several workers on one database: what one revokes counts for all, and none that dies takes anything with it."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, UnixConnector

from tests.app.test_cli import POSTROOM, Running, fails, serving
from tests.support.waiting import until

PASSWORD = "a long enough password"
WORKERS = 3


def workers_of(running: Running) -> list[int]:
    """The process IDs of the workers."""
    pid = running.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]


def exists(pid: int) -> bool:
    """Whether there is such a process."""
    return Path(f"/proc/{pid}").exists()


def worker_of(running: Running, local_port: int) -> int:
    """The worker that has accepted a connection from this port."""
    inodes = {}
    for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]:
        fields = line.split()
        inodes[int(fields[1].split(":")[1], 16), int(fields[2].split(":")[1], 16)] = fields[9]
    wanted = f"socket:[{inodes[running.ports[0], local_port]}]"
    for pid in workers_of(running):
        for opened in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if str(opened.readlink()) == wanted:
                    return pid
    raise AssertionError("no worker has it")


@contextlib.asynccontextmanager
async def connected_to_all(running: Running) -> AsyncIterator[dict[int, ClientSession]]:
    """Worker -> a session whose one connection is with that worker."""
    async with contextlib.AsyncExitStack() as stack:
        found: dict[int, ClientSession] = {}
        for _ in range(200):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            connector = TCPConnector(limit=1, keepalive_timeout=600, local_addr=("127.0.0.1", port))
            session = await stack.enter_async_context(
                ClientSession(f"http://127.0.0.1:{running.ports[0]}", connector=connector)
            )
            async with session.get("/api/v1/status") as response:
                assert response.status == 200
            found.setdefault(worker_of(running, port), session)
            if len(found) == WORKERS:
                break
        assert len(found) == WORKERS
        yield found


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """Three workers on a fresh database."""
    with serving(tmp_path, "--workers", str(WORKERS), POSTROOM_ADMIN_PASSWORD=PASSWORD) as found:
        await until(lambda: len(workers_of(found)) == WORKERS, 30)
        yield found


async def log_in(session: ClientSession, user: str = "admin", password: str = PASSWORD) -> dict[str, str]:
    """The header of a login."""
    async with session.post("/api/v1/login", data={"user": user, "pass": password}) as response:
        assert response.status == 200, await response.text()
        return {"Authorization": f"Bearer {(await response.json())['grommunioAuthJwt']}"}


async def call(session: ClientSession, method: str, path: str, headers: dict[str, str], body: Any = None) -> Any:
    """(status, body) of a call."""
    async with session.request(method, f"/api/v1{path}", json=body, headers=headers) as response:
        return response.status, await response.json()


async def test_a_revocation_counts_for_every_worker(running: Running) -> None:
    """Whoever loses their role, password or account at one worker gets nothing from the others, in memory or not."""
    async with connected_to_all(running) as sessions:
        first, *others = sessions.values()
        admin = await log_in(first)
        _, domain = await call(first, "POST", "/system/domains", admin, {"domainname": "example.org", "maxUser": 9})
        users = f"/domains/{domain['ID']}/users"
        user = {"username": "jane", "password": PASSWORD, "properties": {"displayname": "Jane"}}
        _, jane = await call(first, "POST", users, admin, user)
        role = {"name": "all", "permissions": [{"permission": "SystemAdmin", "params": None}], "users": [jane["ID"]]}
        _, role = await call(first, "POST", "/system/roles", admin, role)
        token = await log_in(first, "jane@example.org")
        for session in sessions.values():
            assert (await call(session, "GET", "/profile", token))[0] == 200
        status, _ = await call(first, "PATCH", f"/system/roles/{role['ID']}", admin, {"users": []})
        assert status == 200
        for session in others:
            for method, path in (("GET", "/profile"), ("GET", users), ("DELETE", f"{users}/{jane['ID']}")):
                assert (await call(session, method, path, token))[0] == 401


async def test_the_queue_is_one_for_all(running: Running) -> None:
    """Whether tasks are worked on is the same at every worker."""
    async with connected_to_all(running) as sessions:
        first, *others = sessions.values()
        admin = await log_in(first)
        for asked, running_now in (("stop", False), ("start", True)):
            assert (await call(first, "POST", f"/tasq/{asked}", admin))[0] == 200
            for session in others:
                assert (await call(session, "GET", "/tasq/status", admin))[1]["running"] is running_now
                assert (await call(session, "GET", "/status", {}))[1]["tasq"] is running_now


async def test_a_worker_that_is_killed(running: Running) -> None:
    """Whatever was acknowledged is there, others go on meanwhile, and another worker takes the place."""
    url = f"http://127.0.0.1:{running.ports[0]}"
    async with ClientSession(url, timeout=ClientTimeout(20)) as session:
        admin = await log_in(session)
        _, domain = await call(session, "POST", "/system/domains", admin, {"domainname": "a.test", "maxUser": 9999})
    acknowledged: list[str] = []
    stop = asyncio.Event()

    async def write(number: int) -> None:
        counter = 0
        while not stop.is_set():
            counter += 1
            name = f"user{number}x{counter}"
            body = {"username": name, "status": 4}
            async with ClientSession(url, timeout=ClientTimeout(20)) as session:
                with contextlib.suppress(ClientError, TimeoutError):
                    status, _ = await call(session, "POST", f"/domains/{domain['ID']}/users", admin, body)
                    assert status == 201
                    acknowledged.append(f"{name}@a.test")

    writers = [asyncio.create_task(write(number)) for number in range(4)]
    seen = set(workers_of(running))
    for _ in range(4):
        before = len(acknowledged)
        await until(lambda before=before: len(acknowledged) > before + 5, 30)  # type: ignore[misc]
        victim = workers_of(running)[0]
        os.kill(victim, signal.SIGKILL)
        await until(lambda victim=victim: victim not in workers_of(running), 30)  # type: ignore[misc]
        await until(lambda: len(workers_of(running)) == WORKERS, 30)
        seen |= set(workers_of(running))
    stop.set()
    await asyncio.gather(*writers)
    assert len(seen) == WORKERS + 4
    async with ClientSession(url) as session:
        _, listed = await call(session, "GET", f"/domains/{domain['ID']}/users?limit=100000&level=0", admin)
    assert {user["username"] for user in listed["data"]} >= set(acknowledged)
    assert running.stop() == 0
    assert sum("was killed by SIGKILL" in line for line in running.lines) == 4


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_all(running: Running, number: signal.Signals) -> None:
    """A request in flight is answered, no worker is left, and the exit code is 0."""
    pids = workers_of(running)
    async with connected_to_all(running):
        assert running.stop(number) == 0
    assert not [pid for pid in pids if exists(pid)]


async def test_workers_do_not_outlive_their_keeper(running: Running) -> None:
    """When the keeper is killed, every worker ends by itself; the port is free again."""
    pids = workers_of(running)
    running.process.kill()
    # Its output ends when the last worker has gone.
    await asyncio.to_thread(running.process.communicate)
    await until(lambda: not any(exists(pid) for pid in pids), 30)
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", running.ports[0]))


async def test_the_service_socket_is_shared(tmp_path: Path) -> None:
    """Every worker answers there, also in the place of one that was killed; the end removes the file."""
    path = tmp_path / "service.sock"
    settings = {"POSTROOM_ADMIN_PASSWORD": PASSWORD, "POSTROOM_SERVICE_SOCKET": str(path)}
    with serving(tmp_path, "--workers", "2", **settings) as running:
        await until(lambda: len(workers_of(running)) == 2, 30)
        for _ in range(3):
            victim = workers_of(running)[0]
            os.kill(victim, signal.SIGKILL)
            await until(lambda victim=victim: victim not in workers_of(running), 30)  # type: ignore[misc]
            async with (
                ClientSession(connector=UnixConnector(str(path)), timeout=ClientTimeout(20)) as session,
                session.get("http://localhost/api/v1/service/wipe/nobody") as response,
            ):
                assert response.status == 404
            await until(lambda: len(workers_of(running)) == 2, 30)
        assert running.stop() == 0
        assert not path.exists()


def test_the_first_password_is_made_once(tmp_path: Path) -> None:
    """The first start tells where it is; the next one says nothing, and logs in with it."""
    with serving(tmp_path, "--workers", "2") as running:
        assert sum("log in as admin" in line for line in running.lines) == 1
        assert running.stop() == 0
    assert (tmp_path / "postroom.sqlite3.password").exists()
    with serving(tmp_path, "--workers", "2") as running:
        assert not any("log in as admin" in line for line in running.lines)
        assert running.stop() == 0


@pytest.mark.parametrize("bad", ["0", "65", "two", "-1", "1.5"])
def test_numbers_that_are_refused(tmp_path: Path, bad: str) -> None:
    """The line names the option."""
    assert "--workers" in fails(tmp_path, f"--workers={bad}")


def test_what_several_workers_cannot_do(tmp_path: Path) -> None:
    """A database in memory, a file that is none, and a port that another service has, are told in one line."""
    assert "in memory" in fails(tmp_path, "--workers", "2", "--database", ":memory:")
    (tmp_path / "note").write_text("Dear Sir or Madam, " * 100)
    assert "not a database" in fails(tmp_path, "--workers", "2", "--port", "0", "--database", "note")
    with serving(tmp_path, "--workers", "2", POSTROOM_ADMIN_PASSWORD=PASSWORD) as running:
        port = str(running.ports[0])
        assert "the port is in use" in fails(tmp_path, "--workers", "2", "--port", port, "--database", "other")
        assert running.stop() == 0


def test_a_sqlite_with_the_bug_is_refused(tmp_path: Path) -> None:
    """Several workers are refused where SQLite can damage what they share."""
    script = (
        "import sys; from postroom.storage import sqlite; sqlite.VERSION = '3.40.1'\n"
        "sqlite.has_wal_reset_bug.__defaults__ = ('3.40.1',)\n"
        "from postroom.app.cli.main import main; sys.argv[0] = 'postroom'; main()"
    )
    python = Path(POSTROOM).with_name("python")
    found = subprocess.run(
        [python, "-c", script, "serve", "--workers", "2", "--port", "0"],
        cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert found.returncode == 2
    assert "SQLite 3.40.1 can damage a database that several workers use" in found.stderr
