"""The types of the route table."""

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from aiohttp import web

from postroom.app.auth.tokens import Caller

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
#: Tells whether a caller may use the operation. None: it needs no login.
Guard = Callable[[Caller, web.Request], bool] | None

public: Final[Guard] = None
#: The methods that only read.
READS: Final = frozenset({"GET", "HEAD"})


class AddressOr:
    """A guard that also admits trusted source addresses without a login; all others must pass `guard`."""

    def __init__(self, guard: Callable[[Caller, web.Request], bool]) -> None:
        self.guard = guard

    def __call__(self, caller: Caller, request: web.Request) -> bool:
        return self.guard(caller, request)


class NoPages:
    """A guard without a login: admits whoever can connect, except pages that a browser has from elsewhere."""

    def __call__(self, _caller: Caller, _request: web.Request) -> bool:
        return True


class Route(NamedTuple):
    """One row of the route table."""

    method: str
    path: str
    handler: Handler
    guard: Guard
