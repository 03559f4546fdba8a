"""A row of the route table, and the types of what stands in it."""

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from aiohttp import web

from postroom.app.auth.tokens import Caller

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
#: Whether a caller may do this. None stands for "nobody needs to be logged in".
Need = Callable[[Caller, web.Request], bool] | None

public: Final[Need] = None


class AddressOr:
    """A need that a trusted source address meets as well; whoever comes from elsewhere has to meet the one given."""

    def __init__(self, need: Callable[[Caller, web.Request], bool]) -> None:
        self.need = need

    def __call__(self, caller: Caller, request: web.Request) -> bool:
        return self.need(caller, request)


class Route(NamedTuple):
    """One row of the table."""

    method: str
    path: str
    handler: Handler
    need: Need
