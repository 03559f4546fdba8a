"""What is stored, who is logged in, and what time it is."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from postroom.app.errors import InvalidError
from postroom.app.openapi.decorators import docs, json_schema, response_schema
from postroom.app.web.keys import BODY
from postroom.app.web.responses import json_response
from postroom.schemas.control import ClockPatchSchema, LoginRequestSchema, SeedDocumentSchema, SnapshotCreateSchema
from postroom.schemas.responses.control import BeginningSchema, ClockSchema, LoginTokenSchema, SnapshotSchema
from postroom.testing.clock import MovableClock
from postroom.testing.errors import HarnessError
from postroom.testing.server import SERVER, Server


@contextmanager
def refusals() -> Iterator[None]:
    """Turns what the harness refuses into a response."""
    try:
        yield
    except HarnessError as error:
        first, *others = str(error).splitlines()
        raise InvalidError(first, [first, *others] if others else []) from None


def server_of(request: web.Request) -> Server:
    """The server that the request controls."""
    return request.app[SERVER]


def _began(server: Server, text: str) -> web.Response:
    return json_response({"message": text, "token": server.admin.token})


@docs(tags=["Store"], summary="Go back to the beginning", operationId="reset")
@response_schema(BeginningSchema(), 200, description="Everything stored or asked since then is gone")
async def reset(request: web.Request) -> web.Response:
    """The clock goes as at the beginning, no fault is armed, the directory is empty, and all logins have ended.
    Connections stay open.
    """
    await server_of(request).reset()
    return _began(server_of(request), "Back at the beginning")


@docs(tags=["Store"], summary="Keep what is stored now", operationId="makeSnapshot")
@json_schema(SnapshotCreateSchema())
@response_schema(SnapshotSchema(), 201, description="The snapshot; one of the same name is replaced")
async def make_snapshot(request: web.Request) -> web.Response:
    """Faults, the journal and the clock are not part of it."""
    with refusals():
        return json_response({"name": await server_of(request).snapshot(request[BODY].get("name"))}, 201)


@docs(tags=["Store"], summary="Go back to a snapshot", operationId="restoreSnapshot")
@response_schema(BeginningSchema(), 200, description="What was stored then is stored now")
async def restore_snapshot(request: web.Request) -> web.Response:
    """Logins of that time are valid again. As often as wanted."""
    name = request.match_info["name"]
    with refusals():
        await server_of(request).restore(name)
    return _began(server_of(request), f"Back at the snapshot {name}")


@docs(tags=["Store"], summary="What is stored now, as a seed", operationId="dumpSeed")
@response_schema(SeedDocumentSchema(), 200, description="A seed, with hashes of passwords and tokens")
async def dump_seed(request: web.Request) -> web.Response:
    """What the server itself sets (IDs, times, the history of wipes) is left out."""
    return json_response(await server_of(request).dump_seed())


@docs(tags=["Store"], summary="Begin anew with another seed", operationId="loadSeed")
@json_schema(SeedDocumentSchema())
@response_schema(BeginningSchema(), 200, description="It is the beginning to which a reset goes back from now on")
async def load_seed(request: web.Request) -> web.Response:
    """All of it or nothing is stored. A reset is part of it."""
    with refusals():
        await server_of(request).load_seed(request[BODY])
    return _began(server_of(request), "This is the beginning now")


@docs(tags=["Store"], summary="Log a user in without a password", operationId="logIn")
@json_schema(LoginRequestSchema())
@response_schema(LoginTokenSchema(), 200, description="A login, to be sent as Bearer")
async def log_in(request: web.Request) -> web.Response:
    """The user still needs a role. `admin` can always log in."""
    with refusals():
        client = await server_of(request).login(request[BODY]["user"])
    return json_response({"token": client.token})


@docs(tags=["Clock"], summary="What time it is", operationId="getClock")
@response_schema(ClockSchema(), 200, description="The clock")
async def get_clock(request: web.Request) -> web.Response:
    """Logins, tokens and out of office end by this clock."""
    return _clock(request)


@docs(tags=["Clock"], summary="Turn the clock", operationId="turnClock")
@json_schema(ClockPatchSchema())
@response_schema(ClockSchema(), 200, description="The clock as it goes now")
async def turn_clock(request: web.Request) -> web.Response:
    """A clock that runs is not turned back: let it stand still first, or in the same request."""
    clock, wanted = server_of(request).clock, request[BODY]
    with refusals():
        _turn(clock, wanted)
    return _clock(request)


def _turn(clock: MovableClock, wanted: dict[str, object]) -> None:
    # Whatever may be refused comes first: then nothing is done.
    match wanted:
        case {"frozen": True, "now": str(now)}:
            clock.freeze(now)
        case {"frozen": True}:
            clock.freeze()
        case {"now": str(now)}:
            clock.set(now)
    match wanted:
        case {"forward": float(seconds)}:
            clock.move(seconds)
    match wanted:
        case {"factor": float(factor)}:
            clock.run(factor)
        case {"frozen": False}:
            clock.run()


def _clock(request: web.Request) -> web.Response:
    server = server_of(request)
    clock = server.clock
    return json_response(
        {
            "now": clock.text(server.context.config.timezone),
            "unix": clock.now(),
            "frozen": clock.factor == 0,
            "factor": clock.factor,
        }
    )
