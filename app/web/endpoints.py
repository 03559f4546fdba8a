"""Authentication, authorisation, validation and error responses for every handler.

Each handler is wrapped once, when the routes are made. A middleware would run for every request, which costs a tenth of
the time of a single read.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence

from aiohttp import web

from postroom.app.errors import ForbiddenError, PostroomError, ThrottledError, UnauthenticatedError
from postroom.app.limits.in_flight import UNBOUNDED, InFlight, Lane
from postroom.app.web.admission import admit, confirm, dismiss
from postroom.app.web.authorship import RequestAuthor, operation_of
from postroom.app.web.error_responses import shown_path
from postroom.app.web.inputs import input_loader, reads_body, receive
from postroom.app.web.responses import message
from postroom.app.web.routing import READS, AddressOr, Guard, Handler, NoPages
from postroom.app.web.streams import failure_or_end
from postroom.app.web.trust import is_trusted, refuse_pages
from postroom.storage.writing import AUTHOR

request_log = logging.getLogger("postroom.requests")


def uncounted(_status: int, _seconds: float) -> None:
    """For requests that nobody counts."""


def endpoint(
    handler: Handler,
    guard: Guard,
    in_flight: InFlight,
    lane: Lane = UNBOUNDED,
    *,
    access_log: bool,
    count: Callable[[int, float], object] = uncounted,
) -> Handler:
    """Wraps a handler with these checks. aiohttp-apispec's decorators on the handler declare its input.

    `count` gets the status of each response (0: cut off before its end) and its seconds.
    """
    load_input = input_loader(handler)
    has_body = reads_body(handler)
    operation = operation_of(handler)

    async def serve(request: web.Request) -> web.StreamResponse:
        started, status = time.perf_counter(), 0
        in_flight.count += 1
        AUTHOR.set(RequestAuthor(request, operation, guard))
        try:
            # Before the body is received: a caller who may not do this need not send it.
            await _admit(request, guard)
            if has_body and guard is not None and request.body_exists:
                await receive(request)
                # Receiving the body may have taken long, and the caller may have lost the permission meanwhile.
                await _admit(request, guard)
            if load_input is not None:
                await load_input(request)
            lane.enter()
            try:
                try:
                    response = await handler(request)
                except (UnauthenticatedError, ForbiddenError):
                    raise
                except PostroomError:
                    # What is not there, or is wrong, is told to nobody either who may not know any more.
                    await confirm()
                    raise
                if request.method in READS:  # a write is checked inside its transaction
                    await confirm()
            finally:
                lane.leave()
            status = response.status
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - every failure leaves as JSON, without its insides
            response = failure_or_end(request, error)
            status = response.status
        finally:
            in_flight.left()
            count(status, time.perf_counter() - started)
        if in_flight.stopping:
            response.force_close()
        if access_log:
            duration = (time.perf_counter() - started) * 1000
            request_log.info("%s %s %d %.1f ms", request.method, shown_path(request), response.status, duration)
        return response

    return serve


async def _admit(request: web.Request, guard: Guard) -> None:
    if guard is None:
        return
    if isinstance(guard, NoPages):
        refuse_pages(request)
        return
    try:
        # A login comes first, and counts only if it passes the guard by itself: a handler that has a caller may check
        # that caller's password.
        await admit(request, guard)
    except (UnauthenticatedError, ForbiddenError, ThrottledError):
        if not (isinstance(guard, AddressOr) and is_trusted(request)):
            raise
        # A request that is trusted by address has no caller, even if its login passed a moment ago.
        dismiss(request)


async def not_found(_request: web.Request) -> web.StreamResponse:
    """The handler for every unknown path."""
    raise web.HTTPNotFound


def allowed_methods(methods: Iterable[str]) -> list[str]:
    """All methods of a path whose routes have these methods, with OPTIONS and HEAD."""
    named = {*methods, "OPTIONS"}
    return sorted(named | {"HEAD"} if "GET" in named else named)


def options(allowed: Sequence[str]) -> Handler:
    """The OPTIONS handler of a path with these methods."""

    async def respond(_request: web.Request) -> web.StreamResponse:
        return options_answer(allowed)

    return respond


def options_answer(allowed: Sequence[str]) -> web.Response:
    """The response to OPTIONS. It has no CORS headers, so pages of other origins get no access."""
    response = message(f"Allowed methods: {', '.join(allowed)}")
    response.headers["Allow"] = ", ".join(allowed)
    return response


def not_allowed(allowed: Sequence[str]) -> Handler:
    """The handler for all methods that a path does not have."""

    async def refuse(request: web.Request) -> web.StreamResponse:
        raise web.HTTPMethodNotAllowed(request.method, allowed)

    return refuse
