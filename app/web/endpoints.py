"""What stands around every handler: who is calling, may they, is the input right; and errors to JSON.

It is put around each handler when the routes are made, not around every request as a middleware: that is a tenth of the
time that a single read takes.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence

from aiohttp import web

from postroom.app.errors import ForbiddenError, PostroomError, UnauthenticatedError
from postroom.app.limits.in_flight import UNBOUNDED, InFlight, Lane
from postroom.app.web.admission import ADMITTED, admit, confirm
from postroom.app.web.error_responses import failure, shown_path
from postroom.app.web.inputs import input_loader, reads_body, receive
from postroom.app.web.keys import CALLER
from postroom.app.web.responses import message
from postroom.app.web.routing import AddressOr, Guard, Handler
from postroom.app.web.trust import is_trusted
from postroom.storage.writing import WRITE_CHECK

request_log = logging.getLogger("postroom.requests")


def endpoint(
    handler: Handler, guard: Guard, in_flight: InFlight, lane: Lane = UNBOUNDED, *, access_log: bool
) -> Handler:
    """The handler with all that stands around it. What it takes is read from aiohttp-apispec's decorators."""
    load_input = input_loader(handler)
    has_body = reads_body(handler)

    async def serve(request: web.Request) -> web.StreamResponse:
        started = time.perf_counter()
        in_flight.count += 1
        try:
            # Nobody's body is received who may not do this anyway.
            await _admit(request, guard)
            if has_body and guard is not None and request.body_exists:
                await receive(request)
                # It may have taken its time: whoever was let in for it may have been put out meanwhile.
                await _admit(request, guard)
            if load_input is not None:
                await load_input(request)
            lane.enter()
            try:
                try:
                    response = await handler(request)
                except PostroomError:
                    # What is not there, or is wrong, is told to nobody either who may not know any more.
                    await confirm(request)
                    raise
                await confirm(request)
            finally:
                lane.leave()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - every failure leaves as JSON, without its insides
            response = failure(request, error)
        finally:
            in_flight.left()
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
    try:
        # A login first, and only one that is enough by itself: a handler that finds a caller may go by their password.
        await admit(request, guard)
    except (UnauthenticatedError, ForbiddenError):
        if not (isinstance(guard, AddressOr) and is_trusted(request)):
            raise
        # Who is trusted by address has no caller, also when the login was enough a moment ago.
        request.pop(CALLER, None)
        request.pop(ADMITTED, None)
        WRITE_CHECK.set(None)


async def not_found(_request: web.Request) -> web.StreamResponse:
    """For every path that leads nowhere."""
    raise web.HTTPNotFound


def allowed_methods(methods: Iterable[str]) -> list[str]:
    """What can be asked of a path that has these methods."""
    named = {*methods, "OPTIONS"}
    return sorted(named | {"HEAD"} if "GET" in named else named)


def options(allowed: Sequence[str]) -> Handler:
    """For OPTIONS on a path that has these methods."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        return options_answer(allowed)

    return answer


def options_answer(allowed: Sequence[str]) -> web.Response:
    """Which methods there are. Nothing here lets pages of other origins in."""
    response = message(f"Possible here: {', '.join(allowed)}")
    response.headers["Allow"] = ", ".join(allowed)
    return response


def not_allowed(allowed: Sequence[str]) -> Handler:
    """For the methods that a path does not have."""

    async def refuse(request: web.Request) -> web.StreamResponse:
        raise web.HTTPMethodNotAllowed(request.method, allowed)

    return refuse
