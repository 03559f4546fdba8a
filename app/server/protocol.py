"""The edge of HTTP: requests that the parser refuses or that match no route get a JSON error response, too.

aiohttp itself responds in plain text that repeats the bytes of the request, and logs an error of the server. This
module also decides what happens to a request whose client has disconnected. `timed.py` has the time limits.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.http_exceptions import LineTooLong

from postroom.app.errors import InvalidError
from postroom.app.logs import REQUEST_ID
from postroom.app.metrics.catalogue import INVALID
from postroom.app.server.parsing import ParsingConnection
from postroom.app.web.endpoints import options_answer
from postroom.app.web.error_responses import failure
from postroom.app.web.responses import add_headers, json_response

if TYPE_CHECKING:
    from postroom.app.server.runner import Server

#: Called for every request, where super() would cost time.
_handle = web.RequestHandler._handle_request  # noqa: SLF001 - aiohttp calls this once for each response
_finish = web.RequestHandler.finish_response


class Connection(ParsingConnection):
    """A connection that responds to everything in one shape, also to what is not HTTP."""

    __slots__ = ("_begun", "_lost", "_methods", "_name")

    def __init__(self, manager: "Server", **options: Any) -> None:
        super().__init__(manager, **options)
        self._methods = manager.methods
        #: A request ID is the time in milliseconds, the random name of the connection, and a number. Clients cannot
        #: choose it: two could choose the same one.
        self._name = secrets.token_hex(3)
        self._begun = 0
        self._lost: asyncio.Future[None] | None = None

    def _handle_request(
        self,
        request: web.BaseRequest,
        start_time: float | None,
        request_handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
    ) -> Coroutine[Any, Any, tuple[web.StreamResponse, bool]]:
        """Gives every request its ID before its task begins, even if it is not HTTP."""
        self._begun += 1
        # The time comes first, so that in the record of changes one stands behind the other: the index by request would
        # otherwise be written in another place by each.
        REQUEST_ID.set(f"{int(time.time() * 1000):x}{self._name}-{self._begun}")
        return _handle(self, request, start_time, request_handler)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,  # noqa: ARG002 - the exception decides the status
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - repeats the bytes that were refused
    ) -> web.StreamResponse:
        """The response to what is not HTTP, and to errors outside of all endpoints. It ends the connection."""
        if isinstance(exc, ConnectionError):
            raise exc  # the client has disconnected
        if request.writer.output_size > 0:
            raise ConnectionError("A part of the response has been sent already")
        if isinstance(exc, HttpProcessingError):
            response = _refuse(exc)
        else:
            response = failure(request, exc if isinstance(exc, Exception) else RuntimeError("There is no response"))
        response.force_close()
        self._watched.metrics.requests.add(INVALID, response.status)
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Logs only errors of the service: any client can send invalid HTTP, or disconnect."""
        error = kw.get("exc_info")
        # InvalidError: the rest of a body, which is only discarded, is broken off.
        if isinstance(error, (ConnectionError, HttpProcessingError, web.RequestPayloadError, InvalidError)):
            return
        if isinstance(error, RuntimeError) and (self.transport is None or self.transport.is_closing()):
            return  # asyncio raises this when the client disconnects before a file is sent
        super().log_exception(*args, **kw)

    def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> Coroutine[Any, Any, tuple[web.StreamResponse, bool]]:
        """Sends the response with the headers that every response has.

        Replaces what aiohttp raised for an unknown route with our error response first.
        """
        # Not a coroutine of its own: this runs for every response.
        self._body = request.content
        if resp.status >= 400 or self._broken:
            if isinstance(resp, web.HTTPException):
                resp = self._without_route(request, resp)
            if request.content.exception() is not None:
                resp.force_close()
        add_headers(resp)
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
            # The bytes that follow are meant for another server.
            response.force_close()
        return response

    async def _finish_and_linger(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        finished = await super().finish_response(request, resp, start_time)
        # Closing while bytes arrive resets the connection, and the client may never see the response.
        self.close()
        if self.transport is not None:
            self._lost = asyncio.get_running_loop().create_future()
            if self.transport.can_write_eof():
                with contextlib.suppress(OSError):
                    self.transport.write_eof()
            await asyncio.wait([self._lost], timeout=self._watched.limits.linger)
        return finished

    def connection_lost(self, exc: BaseException | None) -> None:
        """Cancels the request that is being handled, and ends the wait in _finish_and_linger()."""
        self._watched.left(self)
        self._wire = None
        self._later = b""
        # A cancelled request costs nothing any more. A response that is being sent ends by itself and closes its file.
        handling = self._task_handler if self._current_request is not None else None
        super().connection_lost(exc)
        if handling is not None:
            handling.cancel()
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)


def _refuse(error: HttpProcessingError) -> web.Response:
    """The response to invalid HTTP. It repeats nothing of the request, which may hold any bytes."""
    if isinstance(error, LineTooLong):
        return json_response({"message": "The request line or a header is longer than 8190 bytes"}, 400)
    return json_response({"message": "This is not a valid HTTP request"}, 400)
