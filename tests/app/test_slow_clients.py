"""Clients that are slow on purpose, at each stage of a request, over real sockets: each comes to an end in time."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from postroom.app.limits.clients import Limits
from postroom.app.limits.in_flight import IN_FLIGHT
from tests.support.raw import RawAnswer, assert_shape, connect, parse
from tests.support.service import Service
from tests.support.waiting import until

pytestmark = pytest.mark.attack

#: The times of the service, divided by twenty; what has to be waited for is waited for as long as it takes.
QUICK = Limits(head=0.5, body=1.0, rate=1024, idle=1.5, request=1.5, answer=1.0, linger=0.2, tick=0.05)
#: Seconds after which something is taken to hang.
PATIENCE = 20

HEAD = b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n"
LOGIN = b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

StartService = Callable[..., Awaitable[Service]]


@pytest.fixture
async def quick(start_service: StartService, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Service]:
    """A service that waits for nobody for long, and logs nothing about those for whom it has not waited."""
    caplog.set_level(logging.INFO)
    service = await start_service(limits=QUICK)
    yield service
    async with asyncio.timeout(PATIENCE):
        await service.app[IN_FLIGHT].none()
    assert [record.getMessage() for record in caplog.records if record.levelno > logging.INFO] == []


async def trickle(service: Service, start: bytes, drop: bytes) -> list[RawAnswer]:
    """Sends the start and then drop after drop until the service ends the connection; returns its answers."""
    reader, writer = await connect(service)
    writer.write(start)

    async def drip() -> None:
        while True:
            await asyncio.sleep(0.02)
            writer.write(drop)

    dripping = asyncio.create_task(drip())
    try:
        async with asyncio.timeout(PATIENCE):
            return parse(await reader.read())
    finally:
        dripping.cancel()
        writer.close()


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (b"G", b""),
        (b"GET /", b"a"),
        (HEAD, b""),
        (HEAD + b"X-Long: ", b"a"),
        (b"\r", b""),
        (HEAD + b"\r\n" + HEAD, b"A"),
    ],
    ids=["one byte", "request line", "cut in the headers", "header", "line end", "second head"],
)
async def test_a_head_that_does_not_end(quick: Service, start: bytes, drop: bytes) -> None:
    """A head that is begun and not ended is a 408 in the one shape, after what was asked before it, and the end."""
    *earlier, last = await trickle(quick, start, drop)
    assert last.status == 408
    assert last.headers["connection"] == "close"
    assert_shape(last)
    assert [answer.status for answer in earlier] == [200] * start.count(b"\r\n\r\n")


async def test_many_short_headers_do_not_prolong_a_head(quick: Service) -> None:
    """Whole headers, one after the other, are a head that does not end as well; very many are refused before."""
    (answer,) = await trickle(quick, HEAD, b"X: y\r\n")
    assert answer.status in (400, 408)
    assert_shape(answer)


@pytest.mark.parametrize(
    ("headers", "drop"),
    [
        (b"Content-Length: 10000\r\n\r\n{", b" "),
        (b"Content-Length: 10000\r\n\r\n", b""),
        (b"Content-Length: 10000\r\nExpect: 100-continue\r\n\r\n", b""),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"Transfer-Encoding: chunked\r\n\r\nfff\r\n", b" "),
        (b"Transfer-Encoding: chunked\r\n\r\n1;", b"x"),
    ],
    ids=["drops", "nothing", "after 100", "chunks", "in a chunk", "extension of a chunk"],
)
async def test_a_body_that_does_not_end(quick: Service, headers: bytes, drop: bytes) -> None:
    """A body that comes too slowly is a 408 in the one shape, and the end."""
    answer = (await trickle(quick, LOGIN + headers, drop))[-1]
    assert answer.status in (408, 400)
    assert answer.headers["connection"] == "close"
    assert_shape(answer)


async def test_a_body_at_a_fair_rate_has_more_time(start_service: StartService) -> None:
    """A body that takes longer than a slow one may is taken all the same when it comes fast enough."""
    service = await start_service(limits=replace(QUICK, request=PATIENCE))
    reader, writer = await connect(service)
    size = 1_000_000
    writer.write(b"PUT /api/v1/passwd HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
    for _ in range(25):
        writer.write(b" " * (size // 25))
        await asyncio.sleep(QUICK.body / 20)
    async with asyncio.timeout(PATIENCE):
        head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert head.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("before", [b"", HEAD + b"\r\n"], ids=["from the start", "after an answer"])
async def test_idle_connections_end(quick: Service, before: bytes) -> None:
    """A connection on which nothing is asked ends without a word."""
    answers = await trickle(quick, before, b"")
    assert [answer.status for answer in answers] == [200] * bool(before)


async def test_a_client_that_has_ended_its_side(quick: Service) -> None:
    """A client that ends its side, amid a request or after it, is done with at once."""
    for sent in (b"", b"GET", HEAD, LOGIN + b"Content-Length: 9\r\n\r\n{", HEAD + b"\r\n"):
        reader, writer = await connect(quick)
        writer.write(sent)
        writer.write_eof()
        async with asyncio.timeout(PATIENCE):
            await reader.read()
        writer.close()


def deaf(service: Service) -> socket.socket:
    """A connection whose client takes next to nothing of what it gets."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.settimeout(PATIENCE)
    host, port = service.url.removeprefix("http://").split(":")
    client.connect((host, int(port)))
    return client


def drain(client: socket.socket) -> None:
    """Takes all that is there, until the service has ended the connection; TimeoutError if it does not."""
    with contextlib.suppress(ConnectionError):
        while client.recv(1 << 20):
            pass


def unread(watched: Any) -> int:
    """How much of answers waits to be taken."""
    return sum(each._wire.get_write_buffer_size() for each in [*watched._open] if each._wire is not None)


@pytest.mark.parametrize("asked", [200, 30, 2])
async def test_answers_that_nobody_takes(quick: Service, asked: int) -> None:
    """Whoever asks for more and more, and takes nothing of it, is cut off; what waits for them stays small."""
    client = deaf(quick)
    sent = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * asked
    client.setblocking(False)
    with contextlib.suppress(ConnectionError):
        await asyncio.get_running_loop().sock_sendall(client, sent)
    watched = quick.runner.server.watched  # type: ignore[union-attr]
    async with asyncio.timeout(PATIENCE):
        while watched._open:
            # One answer and what a transport takes without complaint.
            assert unread(watched) < 2 * 1024 * 1024
            await asyncio.sleep(0.05)
    client.setblocking(True)
    client.settimeout(PATIENCE)
    await asyncio.to_thread(drain, client)
    client.close()


async def test_all_that_nobody_takes_is_bounded(start_service: StartService) -> None:
    """Of many who take nothing of large answers, those for whom most waits are cut off when it is too much."""
    most = 1024 * 1024
    service = await start_service(limits=Limits(unread=most, tick=0.05))
    watched = service.runner.server.watched  # type: ignore[union-attr]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(contextlib.closing(deaf(service))) for _ in range(60)]
        for client in clients:
            client.setblocking(False)
        await until(lambda: len(watched._open) == len(clients))
        async with asyncio.timeout(PATIENCE):
            # However much of the answers the kernel keeps for them, they ask for more.
            while len(watched._open) == len(clients) or unread(watched) > most:
                for client in clients:
                    with contextlib.suppress(BlockingIOError, ConnectionError):
                        client.send(b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 30)
                await asyncio.sleep(0.01)
        assert 0 < len(watched._open) < len(clients)


async def test_a_request_that_takes_too_long(quick: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is not done in time is given up with a 503 that says when to try again."""
    ended = asyncio.Event()

    async def hang(_database: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    monkeypatch.setattr(type(quick.context.database), "check", hang)
    reader, writer = await connect(quick)
    writer.write(HEAD + b"\r\n")
    async with asyncio.timeout(PATIENCE):
        head = await reader.readuntil(b"\r\n\r\n")
        await ended.wait()
    body = await reader.readexactly(int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]))
    (answer,) = parse(head + body)
    assert answer.status == 503
    assert answer.headers["retry-after"] == "5"
    assert_shape(answer)
    monkeypatch.undo()
    # The connection goes on.
    writer.write(HEAD + b"Connection: close\r\n\r\n")
    assert [each.status for each in parse(await reader.read())] == [200]
    writer.close()


async def test_a_library_that_swallows_a_cancellation(quick: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that takes its first cancellation for something else is given up at the next look."""
    swallowed: list[int] = []

    async def hang(_database: Any) -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed.append(1)
                if len(swallowed) > 2:
                    raise

    monkeypatch.setattr(type(quick.context.database), "check", hang)
    async with asyncio.timeout(PATIENCE):
        answer = await quick.api.call("GET", "/status")
    assert (answer.status, len(swallowed)) == (503, 3)


async def test_operations_that_may_take_longer(start_service: StartService, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits as long as it is told to, or works through everything, is not given up."""
    service = await start_service(limits=QUICK)
    admin = await service.login("admin", "correct horse")

    async def stop(_tasks: Any, seconds: float) -> bool:
        await asyncio.sleep(seconds)
        return True

    monkeypatch.setattr(type(service.context.tasks), "stop", stop)
    assert (await admin.call("POST", f"/tasq/stop?timeout={2 * QUICK.request}")).status == 200


async def test_others_do_not_wait_meanwhile(quick: Service) -> None:
    """While very many are slow, at every stage, everybody else is answered."""
    slow = []
    for number in range(300):
        _, writer = await connect(quick)
        writer.write([b"G", HEAD, LOGIN + b"Content-Length: 9\r\n\r\n{", b""][number % 4])
        slow.append(writer)
    for _ in range(20):
        async with asyncio.timeout(PATIENCE):
            assert (await quick.api.call("GET", "/status")).status == 200
    for writer in slow:
        writer.close()
