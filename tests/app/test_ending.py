"""Told to end, the process ends in time, whatever runs: real processes, real signals, things that hang."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from aiohttp import ClientSession

from tests.app.test_cli import Running, stopped_at_the_end
from tests.support.faults import fault_server
from tests.support.slapd import Slapd, config_document

#: Seconds of POSTROOM_SHUTDOWN_TIMEOUT, and those that a busy machine may add to them.
TIMEOUT = 2.0
LATE = 4.0

#: `postroom serve` in which asking for the state does something that hangs.
pytestmark = pytest.mark.attack

SCRIPT = """
import asyncio, sys, threading, time
from postroom.app.cli import main as cli
from postroom.storage.database import Database

def forever(*_):
    while True:
        time.sleep(0.1)

async def hang(self):
    {hang}

Database.check = hang
sys.argv[0] = "postroom"
cli.main()
"""

HANGS = {
    "a request": "await asyncio.Event().wait()",
    "a request that cannot be cancelled": (
        "\n    while True:\n        try:\n            await asyncio.sleep(3600)\n"
        "        except asyncio.CancelledError:\n            pass"
    ),
    "a statement that writes": "await self.write(forever)",
    "a statement that reads": "await self.read(forever)",
    "a thread of the loop": "await asyncio.to_thread(forever)",
    "a thread of its own": "threading.Thread(target=forever).start()",
    "a task": "global kept; kept = asyncio.create_task(asyncio.to_thread(forever))",
    "the event loop": "forever()",
}


@pytest.fixture
def at(tmp_path: Path) -> Path:
    """A folder for the database."""
    return tmp_path


def start(folder: Path, hang: str) -> Running:
    """A service that hangs like that as soon as it is asked for its state."""
    script = folder / "service.py"
    script.write_text(SCRIPT.format(hang=hang), "utf-8")
    settings = {"POSTROOM_ADMIN_PASSWORD": "secret", "POSTROOM_SHUTDOWN_TIMEOUT": str(TIMEOUT)}
    return Running(folder, command=[sys.executable, str(script)], **settings)


def ends(running: Running) -> tuple[int, float]:
    """(exit code, seconds) after one SIGTERM."""
    begun = time.monotonic()
    running.process.send_signal(signal.SIGTERM)
    output, _ = running.process.communicate(timeout=60)
    running.lines += output.splitlines()
    return running.process.returncode, time.monotonic() - begun


@pytest.mark.parametrize("what", HANGS)
def test_ends_in_time(at: Path, what: str) -> None:
    """Whatever hangs, the process has ended in the time that it has, and what it leaves is whole."""
    running = start(at, HANGS[what])
    with stopped_at_the_end(running), ExitStack() as stack:
        for _ in range(3):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", running.ports[0])))
            client.sendall(b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.5)
        code, seconds = ends(running)
        assert seconds < TIMEOUT + LATE
        # Where everything could be closed, the end is a good one, whatever threads are left.
        assert code in ((0,) if what in ("a request", "a thread of its own") else (0, 1))
        assert "Traceback" not in "".join(running.lines)
        assert ("Cut off" in "".join(running.lines)) == (code == 1)
    with stopped_at_the_end(Running(at, POSTROOM_ADMIN_PASSWORD="secret")) as again:
        assert again.stop() == 0


def test_slow_clients_do_not_prolong_it(at: Path) -> None:
    """Clients at every stage of a request, and those that take no answer, do not keep it beyond its time."""
    with stopped_at_the_end(start(at, "pass")) as running, ExitStack() as stack:
        for sent in (
            b"", b"G", b"GET /api/v1/status HTTP/1.1\r\n",
            b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
            b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 100,
        ):  # fmt: skip
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.connect(("127.0.0.1", running.ports[0]))
            client.sendall(sent)
        time.sleep(0.5)
        code, seconds = ends(running)
        assert (code, seconds < TIMEOUT + LATE) == (0, True)


@pytest.mark.parametrize("mode", ["silent", "mute", "backlog", "tls"])
async def test_a_directory_that_hangs(at: Path, mode: str) -> None:
    """Logins, searches and updates that wait for a directory for hours, which never answers, do not keep it."""
    settings = {
        "POSTROOM_ADMIN_PASSWORD": "secret", "POSTROOM_SHUTDOWN_TIMEOUT": str(TIMEOUT), "POSTROOM_LDAP_TIMEOUT": "3600",
    }  # fmt: skip
    async with fault_server(mode) as address:
        running = await asyncio.to_thread(Running, at, **settings)
        with stopped_at_the_end(running):
            async with ClientSession(f"http://127.0.0.1:{running.ports[0]}") as session:
                login = {"user": "admin", "pass": "secret"}
                token = (await (await session.post("/api/v1/login", json=login)).json())["grommunioAuthJwt"]
                session.headers["Authorization"] = f"Bearer {token}"
                config = {**config_document(Slapd()), "objectID": "objectGUID"}
                config["connection"]["server"] = f"{'ldaps' if mode == 'tls' else 'ldap'}://{address}"
                for method, path, body in (
                    ("PUT", "/api/v1/system/mconf/ldap?force=true", config),
                    ("POST", "/api/v1/system/domains", {"domainname": "example.com", "maxUser": 10}),
                ):
                    assert (await session.request(method, path, json=body)).status < 300
                waiting = [
                    asyncio.create_task(session.request(method, path, json=body))
                    for method, path, body in (
                        ("POST", "/api/v1/login", {"user": "jane@example.com", "pass": "x"}),
                        ("GET", "/api/v1/domains/ldap/search?query=jane&domain=1", None),
                        ("POST", "/api/v1/domains/ldap/downsync?timeout=100", None),
                        ("PUT", "/api/v1/system/mconf/ldap", config),
                    )
                ]
                await asyncio.sleep(0.7)
                assert not any(task.done() for task in waiting)
                code, seconds = await asyncio.to_thread(ends, running)
                await asyncio.gather(*waiting, return_exceptions=True)
            assert seconds < TIMEOUT + LATE
            assert code == 0
            assert "Traceback" not in "".join(running.lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(at: Path, number: signal.Signals) -> None:
    """Who cannot wait says so again."""
    script = {"POSTROOM_SHUTDOWN_TIMEOUT": "3600", "POSTROOM_ADMIN_PASSWORD": "secret"}
    (at / "service.py").write_text(SCRIPT.format(hang=HANGS["a request"]), "utf-8")
    running = Running(at, command=[sys.executable, str(at / "service.py")], **script)
    with (
        stopped_at_the_end(running),
        socket.create_connection(("127.0.0.1", running.ports[0])) as client,
    ):
        client.sendall(b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.3)
        running.process.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            running.process.wait(1)
        running.process.send_signal(number)
        running.process.communicate(timeout=20)
        assert running.process.returncode == 128 + number
