"""The edge of HTTP: what the parser refuses and what no route sees is answered in the one shape, too.

aiohttp answers such requests by itself, in plain text that repeats their bytes, and logs them as errors of the server.
What becomes of a request whose client has gone is decided here, too; `timed.py` knows how long each part may take.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from aiohttp import EMPTY_PAYLOAD, StreamReader, web
from aiohttp.http import HttpProcessingError, RawRequestMessage
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import MAX_MSG_QUEUE_SIZE
from multidict import istr

from postroom.app.logs import REQUEST_ID
from postroom.app.server.timed import TimedConnection
from postroom.app.web.endpoints import options_answer
from postroom.app.web.error_responses import failure
from postroom.app.web.responses import SECURITY_HEADERS, json_answer

if TYPE_CHECKING:
    from postroom.app.server.runner import Server

_END_OF_HEAD: Final = b"\r\n\r\n"
_LINE_ENDS: Final = (b"\r", b"\n")
#: Most requests that wait for their turn on a connection, as aiohttp has it.
_WAITING: Final = MAX_MSG_QUEUE_SIZE

_REQUEST_ID: Final = istr("X-Request-ID")


#: On the way of every request, where super() takes its time.
_parse = web.RequestHandler.data_received
_handle = web.RequestHandler._handle_request  # noqa: SLF001 - whatever is answered, this is called once
_finish = web.RequestHandler.finish_response


class Connection(TimedConnection):
    """A connection that answers everything in the one shape, whatever comes in on it."""

    __slots__ = ("_begun", "_body", "_lost", "_methods", "_name", "_rest")

    def __init__(self, manager: "Server", **options: Any) -> None:
        super().__init__(manager, **options)
        self._methods = manager.methods
        #: IDs of requests are the name of their connection and a number. Clients have no say in them: what a client may
        #: choose, two can choose alike.
        self._name = secrets.token_hex(6)
        self._begun = 0
        #: What has been read and is not parsed yet, because enough requests wait.
        self._rest = b""
        #: Of the request that was answered last; it may still be on its way.
        self._body: StreamReader = EMPTY_PAYLOAD
        self._lost: asyncio.Future[None] | None = None

    def data_received(self, data: bytes) -> None:
        """Parses head by head: what the parser refuses would take those with it that came in the same read."""
        if self._broken:
            return
        # Nearly always it is one head and nothing else. If not, it may begin with an end that came in two reads.
        if data.find(_END_OF_HEAD, 0, -1) >= 0 or data[:1] in _LINE_ENDS or self._rest:
            data = self._parse_heads(self._rest + data)
        _parse(self, data)
        messages = self._messages
        if messages:
            if type(messages[-1][0]) is not RawRequestMessage:
                self._break_off()
        elif self._waiter is not None and self._head_number != self._request_count:
            # It waits for a head, and this is not the whole of one.
            self._head_number = self._request_count
            self._head_since = self._loop.time()

    def _parse_heads(self, data: bytes) -> bytes:
        """Parses all but what comes after the last head; that is given back."""
        self._rest = b""
        start = 0
        end = len(data) - len(data.lstrip(b"\r\n")) if data[:1] in _LINE_ENDS else _end_of_head(data, 0)
        # Empty lines in bodies look like heads; beyond some, nothing is worth the time that they take.
        for _ in range(2 * _WAITING):
            if not start < end < len(data):
                break
            _parse(self, data[start:end])
            start, end = end, _end_of_head(data, end)
            messages = self._messages
            if messages and type(messages[-1][0]) is not RawRequestMessage:
                return b""
            if len(messages) >= _WAITING:
                # aiohttp reads no more until some are answered, and then calls again.
                self._rest = data[start:]
                return b""
        return data[start:]

    def _break_off(self) -> None:
        # The parser leaves a body in which it finds a fault as it is, and whoever reads it would wait for ever.
        self._broken = True
        now = self._body if self._current_request is None else self._current_request.content
        for body in (now, *(body for _, body in self._messages)):
            if not body.is_eof():
                body.set_exception(web.RequestPayloadError("The body is not encoded as its header says"))

    def _handle_request(
        self,
        request: web.BaseRequest,
        start_time: float | None,
        request_handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
    ) -> Coroutine[Any, Any, tuple[web.StreamResponse, bool]]:
        """Gives the request its ID, also one that is no HTTP, before its task begins."""
        self._begun += 1
        REQUEST_ID.set(f"{self._name}-{self._begun}")
        return _handle(self, request, start_time, request_handler)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,  # noqa: ARG002 - what has happened tells
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - repeats the bytes that were refused
    ) -> web.StreamResponse:
        """The answer to what is no HTTP, and to what went wrong outside of all endpoints; it ends the connection."""
        if isinstance(exc, ConnectionError):
            raise exc  # nobody is there to be answered
        if request.writer.output_size > 0:
            raise ConnectionError("Something of an answer has been sent already")
        if isinstance(exc, HttpProcessingError):
            response = _refuse(exc)
        else:
            response = failure(request, exc if isinstance(exc, Exception) else RuntimeError("There is no answer"))
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Logs what is a fault of ours: anybody can send what is no HTTP, or hang up."""
        error = kw.get("exc_info")
        if isinstance(error, (ConnectionError, HttpProcessingError, web.RequestPayloadError)):
            return
        if isinstance(error, RuntimeError) and (self.transport is None or self.transport.is_closing()):
            return  # asyncio says so when it was about to send a file
        super().log_exception(*args, **kw)

    def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> Coroutine[Any, Any, tuple[web.StreamResponse, bool]]:
        """Sends the answer, with the headers that every answer has.

        What aiohttp has raised because there is no route is turned into one first.
        """
        # No coroutine of its own: this is on the way of every answer.
        self._body = request.content
        if resp.status >= 400 or self._broken:
            if isinstance(resp, web.HTTPException):
                resp = self._without_route(request, resp)
            if request.content.exception() is not None:
                resp.force_close()
        headers = resp.headers
        headers.merge(SECURITY_HEADERS)
        headers[_REQUEST_ID] = REQUEST_ID.get()
        if resp.keep_alive is False and (self._broken or request.content.exception() is not None):
            return self._finish_and_linger(request, resp, start_time)
        return _finish(self, request, resp, start_time)

    def _without_route(self, request: web.BaseRequest, error: web.HTTPException) -> web.StreamResponse:
        missing = isinstance(error, web.HTTPNotFound)
        if missing and request.method == "OPTIONS" and request.raw_path == "*":
            return options_answer(self._methods)
        if missing and request.method == "CONNECT":
            error = web.HTTPMethodNotAllowed("CONNECT", self._methods)
        response = failure(request, error)
        if request.method == "CONNECT":
            # What follows is meant for somebody else.
            response.force_close()
        return response

    async def _finish_and_linger(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        finished = await super().finish_response(request, resp, start_time)
        # Closing while bytes come in resets the connection, and the client may never see the answer.
        self.close()
        if self.transport is not None:
            self._lost = asyncio.get_running_loop().create_future()
            if self.transport.can_write_eof():
                with contextlib.suppress(OSError):
                    self.transport.write_eof()
            await asyncio.wait([self._lost], timeout=self._watched.limits.linger)
        return finished

    def connection_lost(self, exc: BaseException | None) -> None:
        """Gives up what the client has asked for, and the wait for one that has been told that it is over."""
        self._watched.left(self)
        self._wire = None
        # What is still asked costs nothing any more. An answer that is being sent ends by itself, with its file closed.
        asked = self._task_handler if self._current_request is not None else None
        super().connection_lost(exc)
        if asked is not None:
            asked.cancel()
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)


def _end_of_head(data: bytes, start: int) -> int:
    """Where the head that begins here ends; 0 if it does not."""
    found = data.find(_END_OF_HEAD, start)
    return found + len(_END_OF_HEAD) if found >= 0 else 0


def _refuse(error: HttpProcessingError) -> web.Response:
    """Nothing of the request is repeated: it may be anything at all."""
    if isinstance(error, LineTooLong):
        return json_answer({"message": "The request line or a header is longer than 8190 bytes"}, 400)
    return json_answer({"message": "This is not a valid HTTP request"}, 400)
