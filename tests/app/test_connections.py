"""How many connections and requests there may be: who is one too many is told so at once, and others are served."""

import asyncio
import json
import logging
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from postroom.app.config import Config
from postroom.app.limits.clients import BACKLOG, LOOPBACK, MOST_IN_FLIGHT, DescriptorsError, Limits, limits_of
from postroom.app.limits.in_flight import IN_FLIGHT
from postroom.app.routes import BASE
from postroom.app.server.binding import bind
from postroom.app.server.connections import _source_of
from tests.app.test_cli import POSTROOM, Running, fails, stopped_at_the_end
from tests.support.raw import RawAnswer, assert_shape, parse
from tests.support.service import ADMIN_PASSWORD, Service
from tests.support.waiting import until

pytestmark = pytest.mark.attack

StartService = Callable[..., Awaitable[Service]]
PATIENCE = 20
STATUS = b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n"
#: A request that is never complete, so that its connection is not idle.
BUSY = b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_writers: list[asyncio.StreamWriter] = []


@pytest.fixture(autouse=True)
async def closed() -> AsyncIterator[None]:
    """Closes what a test has opened."""
    yield
    while _writers:
        _writers.pop().close()


async def come(service: Service, sent: bytes, source: str = "127.0.0.1") -> Streams:
    """A connection from an address of this machine that has sent something."""
    host, port = service.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), local_addr=(source, 0))
    _writers.append(writer)
    writer.write(sent)
    await writer.drain()
    return reader, writer


async def served(streams: Streams, sent: bytes = STATUS) -> RawAnswer:
    """The answer to a request on a connection."""
    reader, writer = streams
    writer.write(sent)
    async with asyncio.timeout(PATIENCE):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        (answer,) = parse(head + await reader.readexactly(length))
    return answer


async def refused(streams: Streams) -> RawAnswer:
    """The answer to a connection that is one too many, after which it ends."""
    async with asyncio.timeout(PATIENCE):
        (answer,) = parse(await streams[0].read())
    assert_shape(answer)
    assert (answer.status, answer.headers["retry-after"], answer.headers["connection"]) == (503, "5", "close")
    streams[1].close()
    return answer


def watched(service: Service) -> Any:
    """The connections of a service."""
    return service.runner.server.watched  # type: ignore[union-attr]


async def test_one_connection_too_many(start_service: StartService, caplog: pytest.LogCaptureFixture) -> None:
    """Beyond the bound each connection is told so at once, without a request, and those that are there go on."""
    service = await start_service(limits=Limits(connections=8, tick=0.05))
    busy = [await come(service, BUSY) for _ in range(8)]
    await until(lambda: service.app[IN_FLIGHT].count == 8)
    for sent in (b"", STATUS, BUSY, b"\x16\x03\x01"):
        await refused(await come(service, sent))
    # They have not heard of it.
    assert (await served(busy[0], b"}" + b" " * 7)).status in (400, 401)
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "8 are open, 8 at most" in warnings[0]
    for _, writer in busy:
        writer.close()
    await until(lambda: len(watched(service)._open) == 0)
    assert (await served(await come(service, b""))).status == 200


async def test_a_refusal_is_read_by_clients_that_still_send(start_service: StartService) -> None:
    """Whoever sends a megabyte meanwhile reads the refusal all the same, every time."""
    service = await start_service(limits=Limits(connections=1))
    first = await come(service, BUSY)
    await until(lambda: service.app[IN_FLIGHT].count == 1)
    for _ in range(50):
        reader, writer = await come(service, b"")
        writer.write(b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b" " * 1_000_000)
        await refused((reader, writer))
    first[1].close()


async def test_many_that_are_refused_and_stay(start_service: StartService) -> None:
    """Those who are refused and do not go away are cut off, so that they use up nothing; each was told why."""
    service = await start_service(limits=Limits(connections=1, linger=30, tick=0.05))
    first = await come(service, BUSY)
    await until(lambda: service.app[IN_FLIGHT].count == 1)
    stay = [await come(service, b"") for _ in range(200)]
    refusals = [await served(streams, b"") for streams in stay[-60:]]
    assert [refusal.status for refusal in refusals] == [503] * 60
    assert len({refusal.headers["x-request-id"] for refusal in refusals}) == 60
    assert len(watched(service)._turned_away) <= 64
    for _, writer in [first, *stay]:
        writer.close()
    await until(lambda: not watched(service)._turned_away)


async def test_idle_connections_make_room(start_service: StartService) -> None:
    """Connections on which nothing is asked are ended for new ones, the longest idle first, before any is refused."""
    service = await start_service(limits=Limits(connections=8, tick=0.05))
    busy = [await come(service, BUSY) for _ in range(4)]
    idle = []
    for _ in range(4):
        idle.append(await come(service, b""))
        assert (await served(idle[-1])).status == 200
    new = await come(service, b"")
    assert (await served(new)).status == 200
    async with asyncio.timeout(PATIENCE):
        assert await idle[0][0].read() == b""
    assert (await served(idle[3])).status == 200
    assert len(watched(service)._open) == 8
    for _, writer in [*busy, *idle, new]:
        writer.close()


async def test_connections_of_one_source(start_service: StartService) -> None:
    """One source has so many connections and no more, however it opens them, and leaves the others to others."""
    service = await start_service(limits=Limits(connections=20, per_source=5, exempt=(), tick=0.05))
    greedy = [await come(service, BUSY, "127.0.0.2") for _ in range(5)]
    await until(lambda: service.app[IN_FLIGHT].count == 5)
    for _ in range(20):
        await refused(await come(service, STATUS, "127.0.0.2"))
    others = [await come(service, b"", "127.0.0.3") for _ in range(5)]
    assert [(await served(streams)).status for streams in others] == [200] * 5
    greedy[0][1].close()
    await until(lambda: len(watched(service)._open) == 9)
    assert (await served(await come(service, b"", "127.0.0.2"))).status == 200
    for _, writer in greedy + others:
        writer.close()
    await until(lambda: len(watched(service)._open) <= 1)
    assert len(watched(service)._of_source) <= 1


async def test_whoever_passes_a_proxy_is_no_source(start_service: StartService) -> None:
    """Loopback, where a proxy is, may have as many connections as there are."""
    service = await start_service(limits=Limits(connections=20, per_source=2))
    assert [(await served(await come(service, b""))).status for _ in range(20)] == [200] * 20


class _Transport:
    def __init__(self, peer: Any) -> None:
        self._peer = peer

    def get_extra_info(self, _name: str) -> Any:
        return self._peer


@pytest.mark.parametrize(
    ("peer", "source"),
    [
        (("192.0.2.7", 1), "192.0.2.7"),
        (("::ffff:192.0.2.7", 1, 0, 0), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1, 0, 0), "2001:db8:1:2::/64"),
        (("2001:db8:1:2::9", 1, 0, 0), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 1, 0, 2), "fe80::/64"),
        (("127.3.2.1", 1), None),
        (("::1", 1, 0, 0), None),
        (("::ffff:127.0.0.1", 1, 0, 0), None),
        (("", ), None),
        ("", None),
        (None, None),
    ],
)  # fmt: skip
def test_sources(peer: Any, source: str | None) -> None:
    """A source is an IPv4 address or the /64 of an IPv6 one; loopback and Unix sockets are none."""
    assert _source_of(_Transport(peer), Limits()) == source  # type: ignore[arg-type]


# --- open files ---


def test_limits_follow_the_open_files() -> None:
    """There are as many connections as open files allow, a tenth of them for one source, unless it is configured."""
    assert limits_of(Config(), 65536).connections == 1000
    assert limits_of(Config(), 524).connections == 300
    assert limits_of(Config(), 524).per_source == 30
    assert limits_of(Config(max_connections=5000, max_connections_per_source=7), 65536).connections == 5000
    assert limits_of(Config(max_connections_per_source=7), 65536).per_source == 7
    assert limits_of(Config(max_connections=3), 1024).connections == 3
    assert limits_of(Config(max_connections=5000), resource.RLIM_INFINITY).connections == 5000
    assert limits_of(Config(), 65536).exempt == LOOPBACK
    for config, descriptors in ((Config(), 200), (Config(max_connections=5000), 1024)):
        with pytest.raises(DescriptorsError, match="open files are allowed"):
            limits_of(config, descriptors)


def limited(soft: int, hard: int) -> list[str]:
    """The command of a service that may have so many open files."""
    script = (
        "import os, resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    return [sys.executable, "-c", script, str(POSTROOM)]


def test_too_few_open_files(tmp_path: Path) -> None:
    """A start that would not have enough open files is refused in one sentence that says what helps."""
    result = subprocess.run(
        [*limited(100, 100), "serve", "--port", "0"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert "Only 100 open files" in line
    assert "LimitNOFILE" in line
    assert list(tmp_path.iterdir()) == []
    assert "POSTROOM_MAX_CONNECTIONS" in fails(tmp_path, POSTROOM_MAX_CONNECTIONS="0")


def test_the_limit_is_raised_and_never_reached(tmp_path: Path) -> None:
    """The soft limit is raised to the hard one, and with all connections taken each further one is told so."""
    running = Running(tmp_path, command=limited(64, 400), POSTROOM_ADMIN_PASSWORD="secret")
    with stopped_at_the_end(running), ExitStack() as stack:
        limits = Path(f"/proc/{running.process.pid}/limits").read_text("ascii")
        (line,) = [line for line in limits.splitlines() if line.startswith("Max open files")]
        assert line.split()[3:5] == ["400", "400"]
        at = ("127.0.0.1", running.ports[0])
        taken = 0
        for _ in range(600):
            client = stack.enter_context(socket.create_connection(at, timeout=PATIENCE))
            client.sendall(BUSY)
        # The last ones read their refusal; some before them may have been cut off, with it on its way.
        answer = client.recv(4096)
        assert answer.startswith(b"HTTP/1.1 503 "), answer
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["message"].startswith("There are too many connections")
        taken = len(list(Path(f"/proc/{running.process.pid}/fd").iterdir()))
        assert taken < 400
        stack.close()
        with urlopen(f"http://127.0.0.1:{running.ports[0]}{BASE}/status") as status:
            assert status.status == 200
        assert running.stop() == 0
        log = "".join(running.lines)
        assert log.count("Connections are turned away") == 1
        assert "Traceback" not in log


# --- requests in flight ---


@pytest.mark.parametrize(
    ("kind", "method", "path"),
    [("write", "DELETE", "/system/mconf/authmgr"), ("anonymous", "GET", "/about"), ("read", "GET", "/system/users")],
)
async def test_requests_in_flight(service: Service, kind: str, method: str, path: str) -> None:
    """Beyond the bound of its kind a request is a 503 that says when to try again; those of other kinds go on."""
    admin = await service.login("admin", ADMIN_PASSWORD)
    others = {
        "write": ("PUT", "/system/mconf/authmgr"),
        "anonymous": ("GET", "/defaults/storeLangs"),
        "read": ("GET", "/system/orgs"),
    }
    lane = service.app[IN_FLIGHT]._lanes[kind]
    assert lane.most == MOST_IN_FLIGHT[kind]
    lane.count = lane.most
    answer = await admin.call(method, path)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    for other, (verb, place) in others.items():
        answer = await admin.call(verb, place, {"authBackendSelection": "externid"} if verb == "PUT" else None)
        assert (answer.status == 503) == (other == kind)
    assert (await service.api.call("GET", "/status")).status == 200
    await service.login("admin", ADMIN_PASSWORD)
    lane.count = 0
    answer = await admin.call(method, path)
    assert answer.status == 200
    assert lane.count == 0


async def test_reads_go_on_while_writes_are_saturated(start_service: StartService, tmp_path: Path) -> None:
    """With the writer held up and more writes waiting than there may be, those beyond are refused and reads go on."""
    # In memory, readers wait for a transaction that writes.
    service = await start_service(database=str(tmp_path / "store.sqlite3"))
    admin = await service.login("admin", ADMIN_PASSWORD)
    free = threading.Event()

    def hold_up(_connection: Any) -> None:
        free.wait(PATIENCE)

    held = asyncio.create_task(service.context.database.write(hold_up))
    most = MOST_IN_FLIGHT["write"]
    login = admin.headers["Authorization"]
    write = f"DELETE {BASE}/system/mconf/authmgr HTTP/1.1\r\nHost: x\r\nAuthorization: {login}\r\n\r\n".encode()
    writes = [await come(service, write) for _ in range(most + 40)]
    lane = service.app[IN_FLIGHT]._lanes["write"]
    await until(lambda: lane.count == most)
    for _ in range(20):
        async with asyncio.timeout(PATIENCE):
            assert (await admin.call("GET", "/system/users")).status == 200
            assert (await service.api.call("GET", "/status")).status == 200
    free.set()
    await held
    statuses = [(await served(streams, b"")).status for streams in writes]
    assert sorted(statuses) == [200] * most + [503] * 40
    assert lane.count == service.app[IN_FLIGHT].count == 0


async def test_bodies_that_are_on_their_way_keep_nobody_out(service: Service) -> None:
    """More logins than may be worked on, none of them complete, are no reason to refuse one that is."""
    slow = [await come(service, BUSY) for _ in range(MOST_IN_FLIGHT["anonymous"] + 10)]
    await until(lambda: service.app[IN_FLIGHT].count == len(slow))
    await service.login("admin", ADMIN_PASSWORD)
    for _, writer in slow:
        writer.close()
    async with asyncio.timeout(PATIENCE):
        await service.app[IN_FLIGHT].none()


def test_a_crowd_that_comes_at_once_finds_room() -> None:
    """While nobody accepts, 2,000 connections are kept: those that are not wait seconds for their next try."""
    somaxconn = int(Path("/proc/sys/net/core/somaxconn").read_text("ascii"))
    assert somaxconn >= BACKLOG, "this machine keeps fewer connections: sysctl net.core.somaxconn"
    with ExitStack() as stack:
        ((listening,),) = bind(("127.0.0.1",), 0, 1)
        stack.callback(listening.close)
        for _ in range(2000):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listening.getsockname())
            # The address of the peer is known only once the connection stands.
            client.getpeername()
