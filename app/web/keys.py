"""What a request and the application carry, under aiohttp's keys."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from postroom.app.auth.tokens import Caller
from postroom.app.services.context import Context

CONTEXT: Final = web.AppKey("context", Context)

#: Set before a handler runs.
CALLER: Final = web.RequestKey("caller", Caller)
QUERY: Final = web.RequestKey[Any]("query", object)
BODY: Final = web.RequestKey[Any]("body", Mapping)

#: Set on a request that may take longer than others (see Limits), and on one that has taken too long.
UNHURRIED: Final = web.RequestKey("unhurried", bool)
OVERDUE: Final = web.RequestKey("overdue", bool)


def context_of(request: web.Request) -> Context:
    """The service that a request came to."""
    return request.app[CONTEXT]
