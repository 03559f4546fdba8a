"""Answers over a Unix socket: in order, with bounds, and whatever fails is answered."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from postroom.app.mail.fields import join_fields, split_fields, take_line
from postroom.app.mail.serving import BadRequestError, Bounds, Server
from postroom.storage.faults import DatabaseError
from tests.support.waiting import until


class Echo:
    """Says what it hears, and fails in as many ways as it is asked to."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.heard: list[bytes] = []

    def split(self, received: bytearray) -> bytes | None:
        """Takes a line off."""
        return take_line(received)

    async def answer(self, request: bytes) -> bytes | AsyncGenerator[bytes, None]:
        """The same, in capitals."""
        self.heard.append(request)
        match request:
            case b"wait":
                await self.release.wait()
            case b"hang":
                await asyncio.Event().wait()
            case b"bug":
                raise KeyError("a secret")
            case b"away":
                raise DatabaseError("the disk is gone")
            case b"pieces" | b"broken":
                return self._pieces(broken=request == b"broken")
            case b"much":
                return b"x" * 10_000_000
        return request.upper() + b"\n"

    async def _pieces(self, *, broken: bool) -> AsyncGenerator[bytes, None]:
        yield b"1 "
        if broken:
            raise DatabaseError("the disk is gone")
        yield b"2\n"

    def failed(self, request: bytes) -> bytes:
        """Says so."""
        return b"later " + request + b"\n"


class Place:
    """A server on a socket, and how to reach it."""

    def __init__(self, path: Path, listening: socket.socket, server: Server, made: list[Echo]) -> None:
        self.path = path
        self.listening = listening
        self.server = server
        self.made = made
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection, which is closed at the end."""
        reader, writer = await asyncio.open_unix_connection(self.path)
        self._writers.append(writer)
        return reader, writer

    def close(self) -> None:
        """Closes the connections."""
        for writer in self._writers:
            writer.transport.abort()

    async def ask(self, text: bytes) -> bytes:
        """All that comes back for this, over a connection that says no more."""
        reader, writer = await self.connect()
        writer.write(text)
        writer.write_eof()
        return await reader.read()


Start = Callable[..., "contextlib.AbstractAsyncContextManager[Place]"]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts a server with such bounds."""

    @asynccontextmanager
    async def started(**bounds: float) -> AsyncIterator[Place]:
        made: list[Echo] = []

        def make() -> Echo:
            made.append(Echo())
            return made[-1]

        with socket.socket(socket.AF_UNIX) as listening:
            (tmp_path / "s").unlink(missing_ok=True)
            listening.bind(str(tmp_path / "s"))
            listening.listen(1000)
            server = Server("echo", listening, make, Bounds(**bounds))  # type: ignore[arg-type]
            server.start()
            place = Place(tmp_path / "s", listening, server, made)
            try:
                yield place
            finally:
                await server.stop(0)
                place.close()
                await asyncio.sleep(0)

    return started


async def test_answers_keep_the_order_of_requests(start: Start) -> None:
    """Requests that are sent together are answered one after the other, also when a slow one is first."""
    async with start() as place:
        assert await place.ask(b"one\ntwo\npieces\n\nthree\n") == b"ONE\nTWO\n1 2\n\nTHREE\n"
        reader, writer = await place.connect()
        writer.write(b"wait\nnext\n")
        await until(lambda: place.made[-1].heard == [b"wait"])
        assert await place.ask(b"other\n") == b"OTHER\n"
        place.made[-2].release.set()
        assert await reader.readline() == b"WAIT\n"
        assert await reader.readline() == b"NEXT\n"


async def test_failures_are_answered(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever goes wrong is an answer that says later, the connection goes on, and the log has one line without what
    was asked and what an unknown error says.
    """
    async with start(answer=0.05) as place:
        answer = await place.ask(b"bug\naway\nbroken\nhang\nbug\nafter\n")
    assert answer == b"later bug\nlater away\n1 later broken\nlater hang\nlater bug\nAFTER\n"
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING] == [
        f"Socket echo: an answer failed with KeyError in test_conversations.py:{_line_of('raise KeyError')}",
        "Socket echo: the database failed: the disk is gone",
        "Socket echo: an answer took longer than 0.05 seconds",
    ]


def _line_of(text: str) -> int:
    return next(n for n, line in enumerate(Path(__file__).read_text("utf-8").splitlines(), 1) if text in line)


async def test_what_is_no_request_ends_its_connection(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """It disturbs nobody else, and the log says it once."""
    async with start() as place:
        other, writer = await place.connect()
        for _ in range(3):
            assert await place.ask(b"x" * 20_000) == b""
        assert await place.ask(b"half a request") == b""
        writer.write(b"still\n")
        assert await other.readline() == b"STILL\n"
    assert [each.getMessage() for each in caplog.records] == [
        "Socket echo: a connection was closed: it sends a line that is too long"
    ]


async def test_a_request_has_limited_time_and_size(start: Start) -> None:
    """Half a request and then silence is cut, and so is no request at all after a longer time, and one that is longer
    than any may be.
    """
    async with start(request=0.05, idle=30) as place:
        reader, writer = await place.connect()
        writer.write(b"whole\nhal")
        assert await reader.read() == b"WHOLE\n"
    async with start(request=30, idle=0.05) as place:
        reader, writer = await place.connect()
        assert await reader.read() == b""
    async with start(size=10) as place:
        assert await place.ask(b"x" * 11) == b""


async def test_a_client_that_reads_nothing_is_cut(start: Start) -> None:
    """An answer that nobody reads does not stay in memory."""
    async with start(answer=0.05) as place:
        reader, writer = await place.connect()
        writer.write(b"much\n")
        await until(lambda: bool(place.made) and place.made[-1].heard == [b"much"])
        await until(lambda: not place.server._connections)
        with contextlib.suppress(ConnectionError):
            assert len(await reader.read()) < 10_000_000


async def test_silent_connections_leave_room(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """However many connect and say nothing, those that ask are answered, and keep their connections."""
    async with start(connections=20) as place:
        reader, writer = await place.connect()
        writer.write(b"before\n")
        assert await reader.readline() == b"BEFORE\n"
        silent = [await place.connect() for _ in range(500)]
        assert await asyncio.gather(*(place.ask(b"new\n") for _ in range(10))) == [b"NEW\n"] * 10
        writer.write(b"after\n")
        assert await reader.readline() == b"AFTER\n"
        assert await silent[0][0].read() == b""
    assert len(caplog.records) == 1


async def test_connections_that_wait_for_answers_are_never_cut(start: Start) -> None:
    """When all of them do, a further one waits until an answer is there."""
    async with start(connections=3) as place:
        busy = [await place.connect() for _ in range(3)]
        for _, writer in busy:
            writer.write(b"wait\n")
        await until(lambda: [each.heard for each in place.made] == [[b"wait"]] * 3)
        further = asyncio.create_task(place.ask(b"further\n"))
        await asyncio.sleep(0.02)
        assert not further.done()
        place.made[0].release.set()
        assert await further == b"FURTHER\n"
        for echo in place.made:
            echo.release.set()
        assert [await reader.readline() for reader, _ in busy[1:]] == [b"WAIT\n"] * 2


async def test_a_stop_finishes_what_was_begun(start: Start) -> None:
    """What has begun to come is answered; silent connections end at once, and whoever connects waits for the next."""
    async with start() as place:
        (idle, _), (half, rest), (busy, asks) = [await place.connect() for _ in range(3)]
        rest.write(b"ha")
        asks.write(b"wait\nnext\n")
        await until(lambda: len(place.made) == 3 and place.made[2].heard == [b"wait"])
        stopping = asyncio.create_task(place.server.stop(30))
        assert await idle.read() == b""
        late, question = await place.connect()
        question.write(b"late\n")
        rest.write(b"lf\n")
        assert await half.read() == b"HALF\n"
        place.made[2].release.set()
        assert await busy.read() == b"WAIT\nNEXT\n"
        await stopping
        following = Server("next", place.listening, Echo)
        following.start()
        assert await late.readline() == b"LATE\n"
        await following.stop(0)


async def test_a_stop_does_not_wait_for_ever(start: Start) -> None:
    """What is not answered in time is cut."""
    async with start() as place:
        reader, writer = await place.connect()
        writer.write(b"hang\n")
        await until(lambda: bool(place.made) and place.made[0].heard == [b"hang"])
        await place.server.stop(0.01)
        assert await reader.read() == b""


async def test_too_many_open_files(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that cannot be accepted now is accepted later."""
    loop, failures = asyncio.get_running_loop(), [OSError(24, "Too many open files")]
    accept = loop.sock_accept

    async def fail_once(listening: socket.socket) -> object:
        if failures:
            raise failures.pop()
        return await accept(listening)

    monkeypatch.setattr(loop, "sock_accept", fail_once)
    async with start() as place:
        assert await place.ask(b"late\n") == b"LATE\n"


def test_fields() -> None:
    """Fields may hold what separates them."""
    fields = ["a\tb", "", "\x01t", "x\r\n", "\0", "ä"]
    line = join_fields(*fields)
    assert line == b"a\x01tb\t\t\x011t\tx\x01r\x01n\t\x010\t\xc3\xa4\n"
    received = bytearray(line + b"half")
    assert [each.decode() for each in split_fields(take_line(received) or b"")] == fields
    assert take_line(received) is None
    assert received == b"half"
    assert split_fields(b"\x01x\t\x01") == [b"\x01x", b"\x01"]
    with pytest.raises(BadRequestError):
        take_line(bytearray(16_385))
