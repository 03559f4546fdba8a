"""The time limits of a connection: for a head, for a body, for a request, and for the client to read the response.

Checking all connections once a second is cheaper than a timer for each request.
"""

import asyncio
from typing import TYPE_CHECKING, Any, cast

from aiohttp import StreamReader, web

from postroom.app.errors import SlowBodyError
from postroom.app.limits.pace import Pace
from postroom.app.metrics.catalogue import INVALID
from postroom.app.server.raw_responses import to_bytes
from postroom.app.web.keys import OVERDUE, PACES, UNHURRIED
from postroom.app.web.responses import json_response

if TYPE_CHECKING:
    from postroom.app.server.runner import Server


class TimedConnection(web.RequestHandler):
    """A connection whose look() enforces the time limits."""

    __slots__ = (
        "_broken", "_ends_at", "_head_number", "_head_since", "_later", "_unread", "_unread_since", "_watched", "_wire",
        "began",
    )  # fmt: skip

    def __init__(self, manager: "Server", **options: Any) -> None:
        super().__init__(manager, **options)
        self._watched = manager.watched
        #: Whether the client sent something that is not HTTP: nothing after it can be parsed.
        self._broken = False
        #: The transport. aiohttp's own `transport` is reset at the end, when something may still have to be sent.
        self._wire: asyncio.Transport | None = None
        #: Bytes that wait for their turn to be parsed. Reading is paused meanwhile.
        self._later = b""
        #: When the current request began.
        self.began = 0.0
        #: When the incomplete head began, and how many heads came before it.
        self._head_since = 0.0
        self._head_number = -1
        #: How many bytes the client had not read at the last look, and since when this has not become less.
        self._unread = 0
        self._unread_since = 0.0
        #: When the time is over in which the client can read why the connection ends.
        self._ends_at: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepts the connection if there is room for it."""
        wire = cast("asyncio.Transport", transport)
        if self._watched.admit(self, wire):
            self._wire = wire
            super().connection_made(transport)

    def look(self, now: float) -> int:
        """Ends what has exceeded its time limit; returns how many bytes of a response the client has not read."""
        wire = self._wire
        if wire is None:
            return 0
        if self._ends_at is not None and now >= self._ends_at:
            wire.abort()
            return 0
        unread = wire.get_write_buffer_size()
        request = self._current_request
        paces = () if request is None else request.get(PACES, ())
        if not unread or unread < self._unread or not self._unread or paces:
            self._unread_since = now
        elif now - self._unread_since > self._watched.limits.answer:
            wire.abort()
        self._unread = unread
        if request is not None and paces:
            self._look_at_paces(request.content, paces)
        elif request is not None:
            self._look_at_request(request, now - self.began)
        elif self._waits_for_rest_of_head() and now - self._head_since > self._watched.limits.head:
            self._time_out(wire, now)
        return unread

    def _look_at_request(self, request: web.BaseRequest, taken: float) -> None:
        limits, body = self._watched.limits, request.content
        if not body.is_eof() and body.exception() is None and taken > limits.body + body.total_bytes / limits.rate:
            body.set_exception(_too_slow())
        elif (
            taken > limits.request + request.writer.output_size / limits.rate
            and UNHURRIED not in request
            and self._task_handler is not None
        ):
            request[OVERDUE] = True
            # This task waits for the handler and passes the cancellation on. The next look repeats it, in case a
            # library has swallowed this one.
            self._task_handler.cancel()
            self._task_handler.uncancel()

    def _look_at_paces(self, body: StreamReader, paces: tuple[Pace, Pace]) -> None:
        sends_slowly, reads_slowly = (pace.is_too_slow(self._watched.limits) for pace in paces)
        if reads_slowly and self._wire is not None:
            # There is no way to tell it why.
            self._wire.abort()
        elif sends_slowly and not body.is_eof() and body.exception() is None:
            body.set_exception(_too_slow())

    def _waits_for_rest_of_head(self) -> bool:
        return self._waiter is not None and self._head_number == self._request_count and not self._messages

    def _time_out(self, wire: asyncio.Transport, now: float) -> None:
        """Responds to a head that stays incomplete."""
        self._broken = True
        self._watched.metrics.requests.add(INVALID, 408)
        self._ends_at = now + self._watched.limits.linger
        wire.write(to_bytes(json_response({"message": "The head of the request did not arrive in time"}, 408)))
        if wire.can_write_eof():
            wire.write_eof()

    def parse_piece(self) -> bool:
        """Parses one piece of the waiting bytes; returns whether more can be parsed now."""
        raise NotImplementedError

    def idle_since(self) -> float | None:
        """When the connection became idle; None during a request, or when the connection is ending."""
        waits = self._waiter is not None and not self._waiter.done() and not self._messages and not self._later
        if not waits or self._ends_at is not None or self._head_number == self._request_count:
            return None
        return self._next_keepalive_close_time

    def end(self) -> None:
        """Ends the connection while it is idle."""
        self._watched.left(self)
        self.force_close()

    def cut_off(self) -> None:
        """Ends the connection at once, even during a request."""
        if self._wire is not None:
            self._wire.abort()


def _too_slow() -> SlowBodyError:
    return SlowBodyError("The body of the request did not arrive in time")
