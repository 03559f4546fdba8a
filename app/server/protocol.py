"""The edge of HTTP: what the parser refuses and what no route sees is answered in the one shape, too.

aiohttp answers such requests by itself, in plain text that repeats their bytes, and logs them as errors of the server.
What becomes of a request whose client has gone is decided here, too; `timed.py` knows how long each part may take.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.http_exceptions import LineTooLong
from multidict import istr

from postroom.app.logs import REQUEST_ID
from postroom.app.server.parsing import ParsingConnection
from postroom.app.web.endpoints import options_answer
from postroom.app.web.error_responses import failure
from postroom.app.web.responses import SECURITY_HEADERS, json_response

if TYPE_CHECKING:
    from postroom.app.server.runner import Server

_REQUEST_ID: Final = istr("X-Request-ID")


#: On the way of every request, where super() takes its time.
_handle = web.RequestHandler._handle_request  # noqa: SLF001 - whatever is answered, this is called once
_finish = web.RequestHandler.finish_response


class Connection(ParsingConnection):
    """A connection that answers everything in the one shape, whatever comes in on it."""

    __slots__ = ("_begun", "_lost", "_methods", "_name")

    def __init__(self, manager: "Server", **options: Any) -> None:
        super().__init__(manager, **options)
        self._methods = manager.methods
        #: IDs of requests are the name of their connection and a number. Clients have no say in them: what a client may
        #: choose, two can choose alike.
        self._name = secrets.token_hex(6)
        self._begun = 0
        self._lost: asyncio.Future[None] | None = None

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
        self._later = b""
        # What is still asked costs nothing any more. An answer that is being sent ends by itself, with its file closed.
        asked = self._task_handler if self._current_request is not None else None
        super().connection_lost(exc)
        if asked is not None:
            asked.cancel()
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)


def _refuse(error: HttpProcessingError) -> web.Response:
    """Nothing of the request is repeated: it may be anything at all."""
    if isinstance(error, LineTooLong):
        return json_response({"message": "The request line or a header is longer than 8190 bytes"}, 400)
    return json_response({"message": "This is not a valid HTTP request"}, 400)
