"""A row of the route table, and the types of what stands in it."""

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from aiohttp import web

from postroom.app.auth.tokens import Caller

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
#: Whether a caller may do this. None stands for "nobody needs to be logged in".
Guard = Callable[[Caller, web.Request], bool] | None

public: Final[Guard] = None


class AddressOr:
    """A guard that a trusted source address passes as well; whoever comes from elsewhere has to pass the one given."""

    def __init__(self, guard: Callable[[Caller, web.Request], bool]) -> None:
        self.guard = guard

    def __call__(self, caller: Caller, request: web.Request) -> bool:
        return self.guard(caller, request)


class Route(NamedTuple):
    """One row of the table."""

    method: str
    path: str
    handler: Handler
    guard: Guard
