"""aiohttp-apispec's decorators, with the types that the package does not publish."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import aiohttp_apispec
from aiohttp import web
from marshmallow import Schema

from postroom.app.web.keys import UNHURRIED
from postroom.app.web.routing import Handler
from postroom.schemas.fields import ADDITION as ADDITION

Decorator = Callable[[Handler], Handler]


def docs(**described: Any) -> Decorator:
    """tags, summary, operationId and whatever else stands in the description of an operation."""
    return aiohttp_apispec.docs(**described)  # type: ignore[no-any-return]


def json_schema(schema: Schema) -> Decorator:
    """The JSON object that the operation takes as its body."""
    return aiohttp_apispec.json_schema(schema)  # type: ignore[no-any-return]


def form_schema(schema: Schema) -> Decorator:
    """The form, or JSON object of the same fields, that the operation takes as its body."""
    return aiohttp_apispec.form_schema(schema)  # type: ignore[no-any-return]


def querystring_schema(schema: Schema) -> Decorator:
    """The query parameters of the operation."""
    return aiohttp_apispec.querystring_schema(schema)  # type: ignore[no-any-return]


def about(look_up: Callable[[web.Request], Awaitable[None]]) -> Decorator:
    """What the path names; `look_up` raises NotFoundError when it is not there, and goes before any other failure."""

    def decorate(handler: Handler) -> Handler:
        handler.look_up = look_up  # type: ignore[attr-defined]
        return handler

    return decorate


def unhurried(handler: Handler) -> Handler:
    """For an operation that may take longer than others: what it does grows with what there is, or it waits on request.

    The limit on the time of a whole request (see Limits) is not for it.
    """

    @wraps(handler)
    async def serve(request: web.Request) -> web.StreamResponse:
        request[UNHURRIED] = True
        return await handler(request)

    return serve


def response_schema(schema: Schema | dict[str, Any], code: int = 200, *, description: str) -> Decorator:
    """The answer of the operation when it succeeds: a schema, or `{"anyOf": [schemas]}`."""
    return aiohttp_apispec.response_schema(schema, code, description=description)  # type: ignore[no-any-return]
