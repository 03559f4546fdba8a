"""Counts the requests in flight, and limits them."""

import asyncio
import sys
from typing import Final

from aiohttp import web

from postroom.app.errors import BusyError
from postroom.app.limits.clients import MOST_IN_FLIGHT


class Lane:
    """A limit of requests in flight of one kind, so that very many of them do not lock out another kind.

    A request counts once its body has arrived and its caller is admitted: slow bodies lock out nobody.
    """

    __slots__ = ("count", "most")

    def __init__(self, most: int) -> None:
        self.count = 0
        self.most = most

    def enter(self) -> None:
        """Counts one more request. Raises BusyError when there is no room."""
        if self.count >= self.most:
            raise BusyError(f"There are {self.most} requests of this kind in flight already; try again later")
        self.count += 1

    def leave(self) -> None:
        """Counts one request less."""
        self.count -= 1


#: The lane of routes without a limit.
UNBOUNDED: Final = Lane(sys.maxsize)


class InFlight:
    """The number of requests that have begun and have no response yet."""

    def __init__(self) -> None:
        self.count = 0
        #: Set at shutdown: each connection closes after its next response, so that clients cannot delay the shutdown.
        self.stopping = False
        self._none = asyncio.Event()
        self._lanes = {kind: Lane(most) for kind, most in MOST_IN_FLIGHT.items()}

    def lane(self, method: str, *, anonymous: bool) -> Lane:
        """The lane of a route. `anonymous` requests have their own, because anybody can send them."""
        return self._lanes["anonymous" if anonymous else "read" if method == "GET" else "write"]

    def left(self) -> None:
        """A request has its response."""
        self.count -= 1
        if not self.count:
            self._none.set()

    async def none(self) -> None:
        """Waits until no request is in flight."""
        while self.count:
            self._none.clear()
            await self._none.wait()


IN_FLIGHT: Final = web.AppKey("in_flight", InFlight)
