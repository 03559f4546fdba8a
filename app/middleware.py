"""The one middleware: who is calling, may they, is the input right; and errors to JSON."""

import asyncio
import hmac
import logging
import sqlite3
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from marshmallow import Schema

from postroom.app.answers import json_answer
from postroom.app.context import BODY, CALLER, QUERY, context_of
from postroom.app.errors import ForbiddenError, PostroomError, UnauthenticatedError, UnavailableError
from postroom.app.inputs import load_body, query_loader
from postroom.app.tokens import Caller, csrf_token
from postroom.storage.database import DatabaseError

log = logging.getLogger("postroom")
request_log = logging.getLogger("postroom.requests")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
#: Whether a caller may do this. None stands for "nobody needs to be logged in".
Need = Callable[[Caller, web.Request], bool] | None


class UnderWay:
    """How many requests have begun and are not answered yet."""

    def __init__(self) -> None:
        self.count = 0
        #: Set at the end: connections close with their next answer, so that their clients do not keep it from coming.
        self.stopping = False
        self._none = asyncio.Event()

    def left(self) -> None:
        """One of them has been answered."""
        self.count -= 1
        if not self.count:
            self._none.set()

    async def none(self) -> None:
        """Waits until there are none."""
        while self.count:
            self._none.clear()
            await self._none.wait()


UNDER_WAY: Final = web.AppKey("under_way", UnderWay)

COOKIE = "grommunioAuthJwt"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A row of the route table, made ready at start."""

    need: Need
    load_query: Callable[[web.Request], object] | None
    body_schema: Schema | None


def make_endpoint(handler: Handler, need: Need) -> Endpoint:
    """Reads what aiohttp-apispec's decorators left on the handler."""
    schemas = {entry["location"]: entry["schema"] for entry in getattr(handler, "__schemas__", ())}
    query = schemas.get("querystring")
    return Endpoint(need, query_loader(query) if query is not None else None, schemas.get("json"))


def make_middleware(
    endpoints: dict[web.AbstractRoute, Endpoint], under_way: UnderWay, *, access_log: bool
) -> Callable[..., Awaitable[web.StreamResponse]]:
    """The middleware for an application whose routes are `endpoints`; keeps `under_way` up to date."""

    @web.middleware
    async def serve(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        under_way.count += 1
        try:
            endpoint = endpoints.get(request.match_info.route)
            if endpoint is not None:
                if endpoint.need is not None:
                    caller = request[CALLER] = await identify(request)
                    if not endpoint.need(caller, request):
                        raise ForbiddenError("You do not have the permission for this")
                if endpoint.load_query is not None:
                    request[QUERY] = endpoint.load_query(request)
                if endpoint.body_schema is not None:
                    request[BODY] = await load_body(request, endpoint.body_schema)
            response = await handler(request)
        except Exception as error:  # noqa: BLE001 - every failure leaves as JSON, without its insides
            response = _failure(request, error)
        finally:
            under_way.left()
        if under_way.stopping:
            response.force_close()
        if access_log:
            duration = (time.perf_counter() - started) * 1000
            request_log.info("%s %s %d %.1f ms", request.method, request.path, response.status, duration)
        return response

    return serve


async def identify(request: web.Request) -> Caller:
    """Who makes the request, by Bearer or by cookie. Raises UnauthenticatedError."""
    context = context_of(request)
    token, from_cookie = token_of(request)
    if token is None:
        raise UnauthenticatedError("Access denied", ["You are not logged in"])
    caller = await context.tokens.caller(token)
    # A browser sends the cookie along whatever page made the request; the header shows that it was the client itself.
    if from_cookie and request.method not in _SAFE_METHODS:
        given = request.headers.get("X-Csrf-Token", "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), csrf_token(token).encode()):
            raise UnauthenticatedError("Access denied", ["The header X-Csrf-Token is missing or wrong"])
    return caller


def token_of(request: web.Request) -> tuple[str | None, bool]:
    """(the token or None, whether it came in the cookie)."""
    authorization = request.headers.get("Authorization")
    if authorization is not None and authorization[:7].lower() == "bearer ":
        return authorization[7:].strip(), False
    cookie = request.headers.get("Cookie")
    if cookie is None:
        return None, True
    # Nearly always it is the only cookie; then there is nothing to parse.
    if cookie.startswith(f"{COOKIE}=") and ";" not in cookie:
        return cookie[len(COOKIE) + 1 :].strip('" ') or None, True
    return request.cookies.get(COOKIE) or None, True


def _failure(request: web.Request, error: Exception) -> web.Response:
    if isinstance(error, PostroomError):
        return _known_failure(error)
    if isinstance(error, web.HTTPException):
        return _http_failure(request, error)
    request_id = uuid.uuid4().hex[:16]
    if isinstance(error, DatabaseError | sqlite3.OperationalError):
        log.error("Request %s, %s %s: the database failed: %s", request_id, request.method, request.path, error)
        return _with_id(request_id, UnavailableError("The database cannot be used at the moment; try again later"))
    # With the body, or a header, a password would stand in the log: only the way and the traceback do.
    log.error("Request %s, %s %s failed", request_id, request.method, request.path, exc_info=error)
    return json_answer({"message": "An internal error has happened; the log has more under the request ID",
                        "requestID": request_id}, 500)  # fmt: skip


def _known_failure(error: PostroomError) -> web.Response:
    document: dict[str, object] = {"message": error.message}
    if isinstance(error, UnauthenticatedError):
        document["error"] = "; ".join(error.errors)
    elif error.errors:
        document["errors"] = error.errors
    return json_answer(document, error.status)


def _with_id(request_id: str, error: PostroomError) -> web.Response:
    return json_answer({"message": error.message, "requestID": request_id}, error.status)


def _http_failure(request: web.Request, error: web.HTTPException) -> web.Response:
    text = {
        404: f"There is nothing at {request.path[:200]}",
        405: f"{request.method} is not possible at {request.path[:200]}",
        413: "The body is larger than 1 MiB",
        417: "The header Expect has a value that is not supported",
    }.get(error.status, error.reason)
    response = json_answer({"message": text}, error.status)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response
