"""Answers what mail servers ask over a Unix socket, in whichever protocol.

Each connection is a task that reads a request, sends its answer, and reads the next. So answers keep the order of their
requests, and no connection waits for another.
"""

import asyncio
import logging
import socket
import traceback
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from postroom.app.limits.clients import MAIL_CONNECTIONS
from postroom.app.limits.sparing import Sparing
from postroom.storage.faults import is_unavailable
from postroom.storage.lanes import ASKER

log = logging.getLogger("postroom.mail")

#: Bytes that are read at once.
_PIECE: Final = 65536
#: Seconds until another attempt to accept, after one that has failed.
_PAUSE: Final = 0.1


class BadRequestError(Exception):
    """What has come is no request of the protocol, and nothing behind it can be read. The text holds none of it."""


class Conversation(Protocol):
    """What is spoken over one connection. Each connection has an object of its own, which may remember things."""

    def split(self, received: bytearray) -> bytes | None:
        """Takes the first whole request off; None: not all of it has come. Raises BadRequestError."""

    async def answer(self, request: bytes) -> bytes | AsyncGenerator[bytes, None]:
        """The answer, at once or in pieces. Whatever it raises is answered by `failed`."""

    def failed(self, request: bytes) -> bytes:
        """The answer that says: not now, ask again. It also follows pieces of an answer that was not completed."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Times are in seconds, sizes in bytes. The defaults are for the service; tests use others."""

    #: Connections to one socket, in each worker. For a further one the longest idle one is closed.
    connections: int = MAIL_CONNECTIONS
    #: Of a request. Longer than any address or password, and than what `postmap -q` can be given.
    size: int = 160 * 1024
    #: From the first byte of a request to its last.
    request: float = 10.0
    #: Between two requests.
    idle: float = 600.0
    #: Until there is an answer, or its next piece, and until a client has read it.
    answer: float = 30.0


@dataclass(eq=False, slots=True)
class _Connection:
    conversation: Conversation
    #: When it came, or when its last answer was sent.
    since: float
    received: bytearray = field(default_factory=bytearray)
    #: Whether it has ever sent a whole request.
    asked: bool = False
    answering: bool = False
    task: asyncio.Task[None] | None = None

    def close(self) -> None:
        """Closes it, whatever it is doing."""
        if self.task is not None:
            self.task.cancel()


class Server:
    """Answers over all connections to one listening socket, which stays open: it belongs to somebody else."""

    def __init__(
        self, name: str, listening: socket.socket, make: Callable[[], Conversation], bounds: Bounds | None = None
    ) -> None:
        self._name = name
        self._listening = listening
        self._make = make
        self._bounds = bounds or Bounds()
        self._connections: set[_Connection] = set()
        #: Set when there may be room for another connection.
        self._room = asyncio.Event()
        self._accepting: asyncio.Task[None] | None = None
        self._stopping = False
        self._sparing = Sparing()

    def start(self) -> None:
        """Starts to accept connections."""
        self._listening.setblocking(False)
        self._accepting = asyncio.create_task(self._accept())

    async def stop(self, seconds: float) -> None:
        """Accepts no more connections, answers what has begun to come, at most for so long, and closes all."""
        self._stopping = True
        if self._accepting is not None:
            self._accepting.cancel()
        tasks = {each.task for each in self._connections if each.task is not None}
        for each in self._connections:
            if not each.answering and not each.received:
                each.close()
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        for each in list(self._connections):
            each.close()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(self._listening)
            except OSError as error:
                # Too many open files, for example. Connections wait in the queue of the socket.
                self._say("accept", "no connection can be accepted: %s", error.strerror)
                self._close_longest_idle()
                await asyncio.sleep(_PAUSE)
                continue
            try:
                await self._make_room()
            except BaseException:
                accepted.close()
                raise
            connection = _Connection(self._make(), loop.time())
            connection.task = asyncio.create_task(self._serve(connection, accepted))
            self._connections.add(connection)
            # Accepting does not wait while there is something to accept, and others have to get their turn.
            await asyncio.sleep(0)

    async def _make_room(self) -> None:
        while len(self._connections) >= self._bounds.connections and not self._close_longest_idle():
            self._room.clear()
            await self._room.wait()

    def _close_longest_idle(self) -> bool:
        """Makes room; first those that have never asked anything have to go. False: all wait for answers."""
        idle = [each for each in self._connections if not each.answering]
        if not idle:
            return False
        longest = min(idle, key=lambda each: (each.asked, each.since))
        longest.close()
        self._connections.discard(longest)
        text = "more than %d connections; the longest idle one was closed"
        self._say("full", text, self._bounds.connections, level=logging.WARNING)
        return True

    async def _serve(self, connection: _Connection, accepted: socket.socket) -> None:
        ASKER.set(connection)
        try:
            reader, writer = await asyncio.open_unix_connection(sock=accepted)
        except BaseException:
            accepted.close()
            self._forget(connection)
            raise
        # An answer is sent when the kernel has all of it, so nothing is left to send when the connection is closed.
        writer.transport.set_write_buffer_limits(0)
        try:
            await self._answer_all(connection, reader, writer)
        except BadRequestError as error:
            self._say("bad", "a connection was closed: %s", error, level=logging.WARNING)
        except (TimeoutError, ConnectionError):
            pass
        finally:
            writer.transport.abort()
            self._forget(connection)

    def _forget(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        self._room.set()

    async def _answer_all(
        self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        now = asyncio.get_running_loop().time
        while (request := await self._next(connection, reader)) is not None:
            connection.answering = connection.asked = True
            async with aclosing(self._pieces(connection.conversation, request)) as pieces:
                async for piece in pieces:
                    writer.write(piece)
                    async with asyncio.timeout(self._bounds.answer):
                        await writer.drain()
            connection.answering, connection.since = False, now()
            self._room.set()

    async def _next(self, connection: _Connection, reader: asyncio.StreamReader) -> bytes | None:
        """The next request, or None at the end."""
        now, received = asyncio.get_running_loop().time, connection.received
        limit = now() + (self._bounds.request if received else self._bounds.idle)
        while (request := connection.conversation.split(received)) is None:
            if len(received) > self._bounds.size:
                raise BadRequestError("its request is too long")
            if self._stopping and not received:
                return None
            async with asyncio.timeout_at(limit):
                piece = await reader.read(_PIECE)
            if not piece:
                return None
            if not received:
                limit = now() + self._bounds.request
            received += piece
        return request

    async def _pieces(self, conversation: Conversation, request: bytes) -> AsyncGenerator[bytes, None]:
        """The answer, which in case of any failure ends with the one that says so."""
        try:
            async with asyncio.timeout(self._bounds.answer):
                answer = await conversation.answer(request)
            if isinstance(answer, bytes):
                yield answer
                return
            async with aclosing(answer) as pieces:
                while True:
                    async with asyncio.timeout(self._bounds.answer):
                        piece = await anext(pieces, None)
                    if piece is None:
                        return
                    yield piece
        except Exception as error:  # noqa: BLE001 - whatever it is, mail has to wait and must not bounce
            self._say_failure(error)
            yield conversation.failed(request)

    def _say_failure(self, error: Exception) -> None:
        """One line, without the text of an unknown error: it may quote what was asked, and that holds passwords."""
        if is_unavailable(error):
            self._say("database", "the database failed: %s", error)
        elif isinstance(error, TimeoutError):
            self._say("slow", "an answer took longer than %g seconds", self._bounds.answer)
        else:
            frames = traceback.extract_tb(error.__traceback__)
            place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
            self._say((type(error), place), "an answer failed with %s in %s", type(error).__name__, place)

    def _say(self, kind: object, text: str, *values: object, level: int = logging.ERROR) -> None:
        since = self._sparing.due(kind)
        if since is not None:
            more = f" (happened {since} more times since the last such line)" if since else ""
            log.log(level, "Socket %s: %s%s", self._name, text % values, more)
