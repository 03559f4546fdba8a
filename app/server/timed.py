"""How long a connection may take: for a head, for a body, for a request, and to take an answer.

One look a second at all connections is cheaper than a timer for each request.
"""

import asyncio
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web

from postroom.app.errors import SlowBodyError
from postroom.app.server.raw_responses import to_bytes
from postroom.app.web.keys import OVERDUE, UNHURRIED
from postroom.app.web.responses import json_response

if TYPE_CHECKING:
    from postroom.app.server.runner import Server


class TimedConnection(web.RequestHandler):
    """A connection that ends what has had its time whenever it is looked at."""

    __slots__ = (
        "_broken", "_ends_at", "_head_number", "_head_since", "_later", "_unread", "_unread_since", "_watched", "_wire",
        "began",
    )  # fmt: skip

    def __init__(self, manager: "Server", **options: Any) -> None:
        super().__init__(manager, **options)
        self._watched = manager.watched
        #: Whether there was something that is no HTTP: nothing after it can be understood.
        self._broken = False
        #: What is not forgotten at the end, as `transport` is, although something may still have to be sent.
        self._wire: asyncio.Transport | None = None
        #: What has arrived and waits for its turn to be parsed. Nothing more is read meanwhile.
        self._later = b""
        #: When the request that is being worked on began.
        self.began = 0.0
        #: When the head began that is not complete, and how many came before it.
        self._head_since = 0.0
        self._head_number = -1
        #: How much was waiting to be taken by the client at the last look, and since when it has not become less.
        self._unread = 0
        self._unread_since = 0.0
        #: When the client has had its time to read why the connection ends.
        self._ends_at: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the connection, if there is room for it."""
        wire = cast("asyncio.Transport", transport)
        if self._watched.admit(self, wire):
            self._wire = wire
            super().connection_made(transport)

    def look(self, now: float) -> int:
        """Ends what has had its time; returns how much of an answer waits to be taken."""
        wire = self._wire
        if wire is None:
            return 0
        if self._ends_at is not None and now >= self._ends_at:
            wire.abort()
            return 0
        unread = wire.get_write_buffer_size()
        if not unread or unread < self._unread or not self._unread:
            self._unread_since = now
        elif now - self._unread_since > self._watched.limits.answer:
            wire.abort()
        self._unread = unread
        request = self._current_request
        if request is not None:
            self._look_at_request(request, now - self.began)
        elif self._waits_for_rest_of_head() and now - self._head_since > self._watched.limits.head:
            self._time_out(wire, now)
        return unread

    def _look_at_request(self, request: web.BaseRequest, taken: float) -> None:
        limits, body = self._watched.limits, request.content
        if not body.is_eof() and body.exception() is None and taken > limits.body + body.total_bytes / limits.rate:
            body.set_exception(SlowBodyError("The body of the request did not arrive in time"))
        elif taken > limits.request and UNHURRIED not in request and self._task_handler is not None:
            request[OVERDUE] = True
            # It waits for the handler, and hands the cancellation on. Said again at the next look, in case one was just
            # inside a library that took it for something else.
            self._task_handler.cancel()
            self._task_handler.uncancel()

    def _waits_for_rest_of_head(self) -> bool:
        return self._waiter is not None and self._head_number == self._request_count and not self._messages

    def _time_out(self, wire: asyncio.Transport, now: float) -> None:
        """Answers to a head that does not come to its end."""
        self._broken = True
        self._ends_at = now + self._watched.limits.linger
        wire.write(to_bytes(json_response({"message": "The head of the request did not arrive in time"}, 408)))
        if wire.can_write_eof():
            wire.write_eof()

    def parse_piece(self) -> bool:
        """Parses a piece of what waits; whether there is more that can be parsed now."""
        raise NotImplementedError

    def idle_since(self) -> float | None:
        """Since when nothing is asked on it; None while something is, or when it is ending."""
        waits = self._waiter is not None and not self._waiter.done() and not self._messages and not self._later
        if not waits or self._ends_at is not None or self._head_number == self._request_count:
            return None
        return self._next_keepalive_close_time

    def end(self) -> None:
        """Ends it while nothing is asked on it."""
        self._watched.left(self)
        self.force_close()

    def cut_off(self) -> None:
        """Ends it at once, whatever is on its way."""
        if self._wire is not None:
            self._wire.abort()
