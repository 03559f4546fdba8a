"""Under systemd: sockets that it gives, what it is told, and its units."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, UnixConnector

from postroom.app.server.alive import keep_telling
from postroom.app.server.heartbeats import Heartbeats
from postroom.app.server.mail_sockets import NAMES
from postroom.app.server.systemd import NOTHING, Systemd, from_variables
from postroom.storage.database import Database
from postroom.storage.faults import DatabaseError
from tests.app.test_cli import POSTROOM, Running, stopped_at_the_end
from tests.app.test_workers import workers_of
from tests.support.waiting import until

UNITS = Path(__file__).parents[2] / "contrib" / "systemd"

#: Opens sockets on the addresses of the first argument and becomes the service with them, as systemd would start it.
STARTER = """
import os, socket, sys
addresses = sys.argv[1].split(",")
opened = []
for address in addresses:
    host, _, port = address.partition(":")
    made = socket.socket(socket.AF_INET if port else socket.AF_UNIX)
    made.bind((host, int(port)) if port else host)
    if host != "127.0.0.2":
        made.listen()
    opened.append(made)
# Out of the way of the numbers that they get.
high = [os.dup2(each.fileno(), 100 + number) for number, each in enumerate(opened)]
for number, each in enumerate(high):
    os.dup2(each, 3 + number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)), WATCHDOG_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[socket.socket]:
    """Where a service tells systemd how it is."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as found:
        found.bind(str(tmp_path / "notify"))
        found.settimeout(30)
        yield found


def starter(*addresses: str) -> tuple[str, ...]:
    """The beginning of a command that starts the service with sockets on these addresses."""
    return (sys.executable, "-c", STARTER, ",".join(addresses), str(POSTROOM))


def hear(heard: socket.socket, wanted: str) -> list[str]:
    """The first lines of the messages up to the wanted one. TimeoutError if it does not come."""
    lines: list[str] = []
    while wanted not in lines:
        lines.append(heard.recv(4096).decode().partition("\n")[0])
    return lines


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_service_of_systemd(tmp_path: Path, heard: socket.socket, workers: str) -> None:
    """It serves on the sockets it is given in place of those of the settings, says when it is ready, that it is alive,
    when it loads its certificate again (of which it has none), and when it stops; and it leaves the files of sockets.
    """
    command = starter("127.0.0.1:0", "127.0.0.1:0", "service.sock")
    environ = {
        "NOTIFY_SOCKET": str(tmp_path / "notify"),
        "WATCHDOG_USEC": "300000",
        "POSTROOM_SERVICE_NETWORKS": "none",
    }
    running = Running(tmp_path, "--workers", workers, "--host", "192.0.2.1", command=command, **environ)
    with stopped_at_the_end(running):
        assert hear(heard, "READY=1") == ["READY=1"]
        assert len(set(running.ports)) == 2
        assert len(workers_of(running)) == (0 if workers == "1" else 2)
        async with ClientSession() as session:
            for port in running.ports:
                async with session.get(f"http://127.0.0.1:{port}/api/v1/status") as answer:
                    assert answer.status == 200
        async with (
            ClientSession(connector=UnixConnector(str(tmp_path / "service.sock"))) as session,
            session.get("http://localhost/api/v1/service/syncPolicy/nobody@example.com") as answer,
        ):
            assert answer.status == 200
        hear(heard, "WATCHDOG=1")
        running.process.send_signal(signal.SIGHUP)
        hear(heard, "RELOADING=1")
        hear(heard, "READY=1")
        hear(heard, "WATCHDOG=1")
        assert running.stop() == 0
        hear(heard, "STOPPING=1")
        assert (tmp_path / "service.sock").exists()


def test_a_socket_that_systemd_opened(tmp_path: Path) -> None:
    """The same with systemd's own program for trying out socket activation: the first connection starts the service."""
    if (activate := shutil.which("systemd-socket-activate")) is None:
        pytest.skip("needs systemd-socket-activate")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [activate, "-l", f"127.0.0.1:{port}", "-E", "PATH", str(POSTROOM), "serve"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        connected = None
        while connected is None:
            with contextlib.suppress(ConnectionRefusedError):
                connected = socket.create_connection(("127.0.0.1", port), 30)
        with connected:
            connected.sendall(b"GET /api/v1/status HTTP/1.0\r\n\r\n")
            assert connected.recv(12) == b"HTTP/1.0 200"
        process.terminate()
        assert process.wait(30) == 0


async def test_a_database_that_hangs_is_not_alive(database: Database) -> None:
    """While the writer's thread hangs, nothing is told; afterwards it is again."""
    signs: list[bytes] = []
    telling = asyncio.create_task(keep_telling(Systemd([], signs.append, 0.001), database))
    await until(lambda: len(signs) > 2)
    hangs, released = threading.Event(), threading.Event()

    def hang(_connection: object) -> None:
        hangs.set()
        released.wait(30)

    writing = asyncio.create_task(database.write(hang))
    await until(hangs.is_set)
    before = len(signs)
    for _ in range(50):
        await asyncio.sleep(0.002)
    # One that had asked before.
    assert len(signs) <= before + 1
    released.set()
    await writing
    await until(lambda: len(signs) > before + 2)
    assert set(signs) == {b"WATCHDOG=1"}
    telling.cancel()


async def test_a_database_that_fails_is_alive(database: Database) -> None:
    """A restart would not help, and whoever asks gets an answer."""
    signs: list[bytes] = []
    telling = asyncio.create_task(keep_telling(Systemd([], signs.append, 0.001), database))
    await database.close()
    with pytest.raises(DatabaseError):
        await database.write(lambda _: None)
    before = len(signs)
    await until(lambda: len(signs) > before + 2)
    telling.cancel()


async def test_one_worker_that_hangs(tmp_path: Path) -> None:
    """The service is ready once all workers were heard of, and alive only while each that runs is."""
    told: list[bytes] = []
    beats = Heartbeats(Systemd([], told.append, 0.01))
    worker, mine = beats.of_worker(), os.getpid()
    hanging = 1  # a process that never says anything

    def look(*pids: int | None) -> None:
        beats.look(pids)

    worker.tell("READY=1")
    look(mine, None)
    look(mine, hanging)
    assert told == []
    worker.tell("WATCHDOG=1")
    look(mine)
    assert told[0] == b"READY=1"

    def alive(*pids: int | None) -> int:
        worker.tell("WATCHDOG=1")
        look(*pids)
        return told.count(b"WATCHDOG=1")

    await until(lambda: alive(mine, None) > 2)
    # A worker that has just begun counts as alive for a while.
    await until(lambda: alive(mine, hanging) > 3)
    await asyncio.sleep(0.03)
    before = len(told)
    for _ in range(20):
        alive(mine, hanging)
        await asyncio.sleep(0.002)
    assert len(told) == before
    beats.close()


def test_nothing_without_systemd(tmp_path: Path) -> None:
    """Variables for another process, of another kind or of nonsense mean nothing."""
    assert from_variables({}, 5) == NOTHING
    assert from_variables({"LISTEN_FDS": "2", "LISTEN_PID": "4", "WATCHDOG_USEC": "1"}, 5) == NOTHING
    assert from_variables({"LISTEN_FDS": "x", "LISTEN_PID": "5", "NOTIFY_SOCKET": ""}, 5) == NOTHING
    found = from_variables({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "4"}, 5)
    assert found.interval is None
    # Nobody listens: a line in the log, and no failure.
    found.tell("READY=1")
    found = from_variables({"NOTIFY_SOCKET": str(tmp_path / "none"), "WATCHDOG_USEC": "3000000"}, 5)
    assert found.interval == 1.0
    found.tell("READY=1")


def test_an_abstract_address() -> None:
    """With @ in front the address is no file."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        name = f"postroom-test-{os.getpid()}"
        receiver.bind(f"\0{name}")
        from_variables({"NOTIFY_SOCKET": f"@{name}"}, 5).tell("READY=1", "STATUS=x")
        assert receiver.recv(100) == b"READY=1\nSTATUS=x"


@pytest.mark.parametrize(
    ("addresses", "reason"),
    [
        (["127.0.0.1:0", "127.0.0.2:0"], "Descriptor 4 of systemd is no listening socket: use ListenStream="),
        (["a", "b"], "systemd has given several Unix sockets; postroom uses one, for /service without a login"),
    ],
)
def test_sockets_that_cannot_be_used(tmp_path: Path, addresses: list[str], reason: str) -> None:
    """The start ends in one line."""
    result = subprocess.run(
        [*starter(*addresses), "serve", "--port", "0"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (result.returncode, result.stderr) == (2, f"postroom: {reason}\n")


def test_the_units(tmp_path: Path) -> None:
    """systemd finds nothing wrong with them, and the service can do little besides its work. Sockets for mail have the
    names by which the service knows them.
    """
    if (analyze := shutil.which("systemd-analyze")) is None:
        pytest.skip("needs systemd-analyze")
    names = ("postroom.service", "postroom.socket", *(f"postroom-{name}.socket" for name in NAMES))
    for name in names:
        text = (UNITS / name).read_text("utf-8").replace("/opt/postroom/bin/postroom", str(POSTROOM))
        (tmp_path / name).write_text(text)
    units = [str(tmp_path / name) for name in names]
    verified = subprocess.run(
        [analyze, "verify", "--man=no", *units], capture_output=True, text=True, timeout=60, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    for name in NAMES:
        assert f"\nFileDescriptorName={name}\n" in (UNITS / f"postroom-{name}.socket").read_text("utf-8")
    exposed = [analyze, "security", "--offline=true", "--threshold=20", "--no-pager", units[0]]
    rated = subprocess.run(exposed, capture_output=True, text=True, timeout=60, check=False)
    assert rated.returncode == 0, rated.stdout + rated.stderr
