"""Workers and their keeper at the edges: signals to all at once, a keeper that is gone, starts that fail."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from postroom.app.config import load_config
from postroom.app.limits.clients import Limits
from postroom.app.server.shares import share_of
from tests.app.test_cli import POSTROOM, Running, serving, stopped_at_the_end
from tests.app.test_ending import SCRIPT
from tests.app.test_serving_tls import shake, trusting
from tests.app.test_workers import PASSWORD, exists, workers_of
from tests.support.certificates import make_authority, make_certificate
from tests.support.waiting import until

LOGIN = b'{"user": "admin", "pass": "a long enough password"}'
#: Starts the command with SIGCHLD ignored, as some starters leave it.
DEAF = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
#: The second process that is started is the first worker.
FULL = """
import errno, os, sys
from postroom.app.cli import main as cli
fork, count = os.fork, 0
def refuse():
    global count
    count += 1
    if count == 2:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return fork()
os.fork = refuse
sys.argv[0] = "postroom"
cli.main()
"""


@contextlib.contextmanager
def half_sent(port: int) -> Iterator[Callable[[], bytes]]:
    """A login whose body is on its way; calling it sends the rest, and returns the first line of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        head = f"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(LOGIN)}\r\n"
        head += "Content-Type: application/json\r\nExpect: 100-continue\r\n\r\n"
        client.sendall(head.encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 100 ")

        def finish() -> bytes:
            client.sendall(LOGIN)
            return client.recv(1000).partition(b"\r\n")[0]

        yield finish


def has_opened(pid: int) -> bool:
    """Whether a worker has opened the database with all of its readers."""
    opened = [each.readlink().name for each in Path(f"/proc/{pid}/fd").iterdir() if each.is_symlink()]
    return opened.count("postroom.sqlite3") >= 6


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """Two workers on a fresh database."""
    with serving(tmp_path, "--workers", "2", POSTROOM_ADMIN_PASSWORD=PASSWORD) as found:
        await until(lambda: len(workers_of(found)) == 2 and all(map(has_opened, workers_of(found))), 30)
        yield found


async def test_a_signal_to_every_process(running: Running) -> None:
    """As systemd sends it: a request in flight is answered, and the exit code is 0."""
    with half_sent(running.ports[0]) as finish:
        for pid in (*workers_of(running), running.process.pid):
            os.kill(pid, signal.SIGTERM)
        await asyncio.sleep(0.5)
        assert await asyncio.to_thread(finish) == b"HTTP/1.1 200 OK"
    await asyncio.to_thread(running.process.communicate)
    assert running.process.returncode == 0


async def test_a_second_signal(running: Running) -> None:
    """A second one cuts off what is in flight."""
    with half_sent(running.ports[0]):
        running.process.terminate()
        await asyncio.sleep(0.5)
        assert await asyncio.to_thread(running.stop) == 1
    assert any("Cut off by a second signal" in line for line in running.lines)


async def test_a_hangup_without_a_certificate(running: Running) -> None:
    """There is nothing to load again, so it ends the service like any other signal: in order."""
    with half_sent(running.ports[0]) as finish:
        running.process.send_signal(signal.SIGHUP)
        await asyncio.sleep(0.5)
        assert await asyncio.to_thread(finish) == b"HTTP/1.1 200 OK"
    await asyncio.to_thread(running.process.communicate)
    assert running.process.returncode == 0


async def test_requests_outlive_the_keeper(running: Running) -> None:
    """When the keeper is killed, its workers finish what they have begun."""
    pids = workers_of(running)
    with half_sent(running.ports[0]) as finish:
        running.process.kill()
        await asyncio.sleep(0.5)
        assert await asyncio.to_thread(finish) == b"HTTP/1.1 200 OK"
    await asyncio.to_thread(running.process.communicate)
    await until(lambda: not any(exists(pid) for pid in pids), 30)


async def test_a_worker_that_hangs_without_a_keeper(tmp_path: Path) -> None:
    """A worker whose event loop hangs ends in time as well when the keeper is killed."""
    script = tmp_path / "service.py"
    script.write_text(SCRIPT.format(hang="forever()"), "utf-8")
    settings = {"POSTROOM_ADMIN_PASSWORD": PASSWORD, "POSTROOM_SHUTDOWN_TIMEOUT": "1", "POSTROOM_WORKERS": "2"}
    with stopped_at_the_end(Running(tmp_path, command=[sys.executable, str(script)], **settings)) as running:
        await until(lambda: len(workers_of(running)) == 2, 30)
        pids = workers_of(running)
        # Each looks at the database once a second, and hangs then.
        await asyncio.sleep(2)
        running.process.kill()
        await asyncio.to_thread(running.process.communicate)
        await until(lambda: not any(exists(pid) for pid in pids), 30)


async def test_starters_that_ignore_the_end_of_processes(tmp_path: Path) -> None:
    """A dead worker is noticed and replaced all the same."""
    command = [sys.executable, "-c", DEAF, str(POSTROOM)]
    settings = {"POSTROOM_ADMIN_PASSWORD": PASSWORD, "POSTROOM_WORKERS": "2"}
    with stopped_at_the_end(Running(tmp_path, command=command, **settings)) as running:
        await until(lambda: len(workers_of(running)) == 2, 30)
        victim = workers_of(running)[0]
        os.kill(victim, signal.SIGKILL)
        await until(lambda: len(workers_of(running)) == 2 and victim not in workers_of(running), 30)
        assert await asyncio.to_thread(running.stop) == 0


async def test_no_room_for_a_process(tmp_path: Path) -> None:
    """Where no process can be started, the others go on, and it is tried again."""
    script = tmp_path / "service.py"
    script.write_text(FULL, "utf-8")
    settings = {"POSTROOM_ADMIN_PASSWORD": PASSWORD, "POSTROOM_WORKERS": "2"}
    with stopped_at_the_end(Running(tmp_path, command=[sys.executable, str(script)], **settings)) as running:
        await until(lambda: len(workers_of(running)) == 2, 30)
        assert await asyncio.to_thread(running.stop) == 0
        assert any("A worker cannot be started: Resource temporarily unavailable" in line for line in running.lines)


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_worker_makes_no_database(running: Running, tmp_path: Path, replaced: bool) -> None:
    """The next worker neither makes a database where the old one is gone, nor takes another one in its place."""
    database = tmp_path / "postroom.sqlite3"
    content = database.read_bytes()
    for name in ("", "-wal", "-shm"):
        database.with_name(database.name + name).unlink()
    if replaced:
        database.write_bytes(content)
    victim = workers_of(running)[0]
    os.kill(victim, signal.SIGKILL)
    await until(lambda: victim not in workers_of(running), 30)
    await asyncio.sleep(1)
    assert await asyncio.to_thread(running.stop) == 0
    assert any(
        "A worker cannot start: The database postroom.sqlite3 has been removed" in line for line in running.lines
    )
    assert not any(line.startswith("Traceback") for line in running.lines)
    assert database.exists() == replaced


async def test_a_worker_has_the_certificate_of_the_others(tmp_path: Path) -> None:
    """It starts also where the file has become unusable meanwhile, and a renewal that fails changes nothing."""
    authority = make_authority(tmp_path / "authority")
    pair = make_certificate(tmp_path / "tls", authority, "DNS:localhost")
    options = ["--workers", "2", "--tls-cert", str(pair[0]), "--tls-key", str(pair[1])]
    with serving(tmp_path, *options, POSTROOM_ADMIN_PASSWORD=PASSWORD) as running:
        await until(lambda: len(workers_of(running)) == 2, 30)
        pair[0].write_text("nothing of use")
        running.process.send_signal(signal.SIGHUP)
        victim = workers_of(running)[0]
        os.kill(victim, signal.SIGKILL)
        await until(lambda: victim not in workers_of(running) and len(workers_of(running)) == 2, 30)
        await until(lambda: all(map(has_opened, workers_of(running))), 30)
        for _ in range(16):
            await asyncio.to_thread(shake(running, trusting(authority)).close)
        assert await asyncio.to_thread(running.stop) == 0
    assert not any("A worker cannot start" in line for line in running.lines)


def test_shares() -> None:
    """What one process allows in all is shared by the workers, also where the settings leave it open."""
    config = load_config({"workers": "4", "login_failures": "6"}, {})
    share = share_of(config, Limits(connections=1000, per_source=100))
    assert (share.login_failures, share.max_connections, share.max_connections_per_source) == (2, 250, 25)
