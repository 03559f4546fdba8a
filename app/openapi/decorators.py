"""aiohttp-apispec's decorators with type annotations, which the package lacks."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import aiohttp_apispec
from aiohttp import web
from marshmallow import Schema

from postroom.app.web.keys import UNHURRIED
from postroom.app.web.routing import Handler

Decorator = Callable[[Handler], Handler]


def docs(**described: Any) -> Decorator:
    """Describes an operation: tags, summary, operationId and other OpenAPI fields."""
    return aiohttp_apispec.docs(**described)  # type: ignore[no-any-return]


def json_schema(schema: Schema) -> Decorator:
    """Declares the JSON object that the operation takes as its body."""
    return aiohttp_apispec.json_schema(schema)  # type: ignore[no-any-return]


def form_schema(schema: Schema) -> Decorator:
    """Declares the form, or JSON object with the same fields, that the operation takes as its body."""
    return aiohttp_apispec.form_schema(schema)  # type: ignore[no-any-return]


def querystring_schema(schema: Schema) -> Decorator:
    """Declares the query parameters of the operation."""
    return aiohttp_apispec.querystring_schema(schema)  # type: ignore[no-any-return]


def about(look_up: Callable[[web.Request], Awaitable[None]]) -> Decorator:
    """Checks the object that the path names: `look_up` raises NotFoundError, which precedes errors of the input."""

    def decorate(handler: Handler) -> Handler:
        handler.look_up = look_up  # type: ignore[attr-defined]
        return handler

    return decorate


def unhurried(handler: Handler) -> Handler:
    """Exempts an operation from the time limit of a whole request (see Limits).

    For operations whose work grows with the amount of data, or that wait because the client asks for it.
    """

    @wraps(handler)
    async def serve(request: web.Request) -> web.StreamResponse:
        request[UNHURRIED] = True
        return await handler(request)

    return serve


def response_schema(schema: Schema | dict[str, Any], code: int = 200, *, description: str) -> Decorator:
    """Declares the response of the operation on success: a schema, or `{"anyOf": [schemas]}`."""
    return aiohttp_apispec.response_schema(schema, code, description=description)  # type: ignore[no-any-return]


def in_lines(schema: Schema) -> Decorator:
    """Declares that the operation takes and returns lines (NDJSON), each of which is a JSON object: by this schema in
    the request, and by that of the response in the response. Stands above `docs`.
    """

    def decorate(handler: Handler) -> Handler:
        vars(handler)["__apispec__"]["lines"] = schema
        return handler

    return decorate
