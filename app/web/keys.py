"""The keys of the values that requests and the application carry."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from postroom.app.auth.tokens import Caller
from postroom.app.limits.pace import Pace
from postroom.app.metrics.catalogue import Metrics
from postroom.app.services.context import Context


class Current:
    """The context that requests get. A test harness replaces it while clients stay connected."""

    __slots__ = ("context",)

    def __init__(self, context: Context) -> None:
        self.context = context


CURRENT: Final = web.AppKey("current", Current)

#: What this process counts, also before there is a context.
METRICS: Final = web.AppKey("metrics", Metrics)

#: Set before a handler runs.
CALLER: Final = web.RequestKey("caller", Caller)
QUERY: Final = web.RequestKey[Any]("query", object)
BODY: Final = web.RequestKey[Any]("body", Mapping)

#: UNHURRIED is set on a request that may take longer than others (see Limits), OVERDUE on one that took too long.
UNHURRIED: Final = web.RequestKey("unhurried", bool)
OVERDUE: Final = web.RequestKey("overdue", bool)
#: Set on a request that may last for as long as its client keeps it going, in place of all other time limits: the pace
#: at which the client sends, and the one at which it reads.
PACES: Final = web.RequestKey[tuple[Pace, Pace]]("paces", tuple)


def context_of(request: web.Request) -> Context:
    """The context of the application that handles the request."""
    return request.app[CURRENT].context
