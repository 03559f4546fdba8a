"""What faults do to requests: around the handlers of the service, and only in a server of a test."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

from aiohttp import hdrs, web

from postroom.app.auth.api_tokens import is_api_token
from postroom.app.auth.tokens import Caller
from postroom.app.errors import PostroomError
from postroom.app.routes import BASE
from postroom.app.services.sessions import end_session
from postroom.app.web.authentication import token_of
from postroom.app.web.inputs import receive
from postroom.app.web.keys import UNHURRIED, context_of
from postroom.app.web.ndjson import CONTENT_TYPE as NDJSON
from postroom.app.web.routing import Handler
from postroom.app.web.streams import reset_connection
from postroom.testing.broken_answers import made, send_half, spoil, spoil_lines
from postroom.testing.faults import Fault, Faults
from postroom.testing.journal import EARLY_CALLER, FAULTS, Journal, operation_of
from postroom.testing.outages import IS_AWAY

#: The clients of the harness itself have this name. No fault strikes them.
AGENT: Final = "postroom.testing"


class Striking:
    """Strikes requests with the faults that are armed, and notes those that are never answered."""

    def __init__(self, faults: Faults, journal: Journal) -> None:
        self._faults = faults
        self._journal = journal

    def add_to(self, app: web.Application) -> None:
        """Every request of the application goes through it, and into the journal."""

        @web.middleware
        async def serve(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._serve(request, handler)

        app.middlewares.append(serve)
        app.on_response_prepare.append(spoil_lines)
        app.on_response_prepare.append(self._journal.note)

    async def _serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        struck: list[Fault] = []
        if request.path.startswith(f"{BASE}/") and request.headers.get(hdrs.USER_AGENT) != AGENT:
            IS_AWAY.set(_Outage(self._faults, request))
            struck = self._choose(request)
        try:
            return await (self._strike(request, handler, struck) if struck else handler(request))
        except (asyncio.CancelledError, ConnectionError):
            # The client has gone, or has been cut off.
            await self._journal.note(request, None)
            raise

    def _choose(self, request: web.Request) -> list[Fault]:
        """The faults that only delay this request, and then the first other one."""
        delays: list[Fault] = []
        others: list[Fault] = []
        for fault in self._faults:
            if fault.kind == "directory" or (fault.kind == "login" and not _has_login(request)):
                continue
            found = delays if fault.kind is None else others
            is_due = found is delays or not others
            if is_due and fault.matches(operation_of(request), request.method, request.path) and fault.strike():
                found.append(fault)
        return delays + others

    async def _strike(self, request: web.Request, handler: Handler, struck: Sequence[Fault]) -> web.StreamResponse:
        request[FAULTS] = tuple(struck)
        # A delay may be longer than the time limit of a request.
        request[UNHURRIED] = True
        await _receive(request)
        caller = await _caller_of(request)
        request[EARLY_CALLER] = caller.username if caller is not None else None
        # It has arrived, whatever becomes of it: a client that does not wait may look already.
        await self._journal.note(request, None)
        for fault in struck:
            if not fault.is_late:
                await asyncio.sleep(fault.seconds())
        response = await self._early(request, handler, struck[-1])
        if not response.prepared:
            await self._journal.note(request, response)
        for fault in struck:
            if fault.is_late:
                await asyncio.sleep(fault.seconds())
        return await _late(request, response, struck[-1])

    async def _early(self, request: web.Request, handler: Handler, fault: Fault) -> web.StreamResponse:
        if fault.is_late or fault.kind is None:
            return await handler(request)
        if fault.kind == "login":
            await _end_login(request)
            return await handler(request)
        if fault.kind == "cut":
            raise _cut(request, fault)
        return made(fault)


class _Outage:
    """Whether the directory is away for a request, which is decided when it is asked first."""

    def __init__(self, faults: Faults, request: web.Request) -> None:
        self._faults = faults
        self._request = request
        self._is_away: bool | None = None

    def __call__(self) -> bool:
        if self._is_away is None:
            request = self._request
            fault = next(
                (
                    fault
                    for fault in self._faults
                    if fault.kind == "directory"
                    and fault.matches(operation_of(request), request.method, request.path)
                    and fault.strike()
                ),
                None,
            )
            self._is_away = fault is not None
            if fault is not None:
                request[FAULTS] = (*request.get(FAULTS, ()), fault)
        return self._is_away


async def _caller_of(request: web.Request) -> Caller | None:
    token, _ = token_of(request)
    try:
        return await context_of(request).tokens.caller(token) if token is not None else None
    except PostroomError:
        return None


async def _end_login(request: web.Request) -> None:
    caller = await _caller_of(request)
    if caller is not None and caller.session_id is not None:
        await end_session(context_of(request), caller, caller.session_id)


async def _late(request: web.Request, response: web.StreamResponse, fault: Fault) -> web.StreamResponse:
    """What becomes of the response."""
    if not fault.is_late or fault.kind is None:
        return response
    if fault.kind == "status":
        return made(fault) if not response.prepared else response
    if fault.fields.get("cut") == "middle" and isinstance(response, web.Response):
        await send_half(request, response)
    if fault.kind == "cut":
        raise _cut(request, fault)
    # One that is sent in pieces has been sent already, as it should be.
    return spoil(response, fault) if isinstance(response, web.Response) else response


def _cut(request: web.Request, fault: Fault) -> ConnectionResetError:
    """Ends the connection once what has been written is sent; raise what it returns."""
    if fault.fields.get("reset"):
        reset_connection(request)
    elif request.transport is not None:
        request.transport.close()
    return ConnectionResetError("Cut by a fault")


def _has_login(request: web.Request) -> bool:
    text, _ = token_of(request)
    return text is not None and not is_api_token(text)


async def _receive(request: web.Request) -> None:
    """Waits for the body, unless it may be long."""
    if request.body_exists and request.content_type != NDJSON:
        with contextlib.suppress(PostroomError):
            await receive(request)
