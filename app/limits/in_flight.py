"""How many requests are being worked on, and how many may be."""

import asyncio
import sys
from typing import Final

from aiohttp import web

from postroom.app.errors import BusyError
from postroom.app.limits.clients import MOST_IN_FLIGHT


class Lane:
    """Requests of one kind, so that those of another get through when there are very many of these.

    They are counted once they are complete and allowed: a body that is on its way keeps nobody out.
    """

    __slots__ = ("count", "most")

    def __init__(self, most: int) -> None:
        self.count = 0
        self.most = most

    def enter(self) -> None:
        """One more; raises BusyError instead when there is no room."""
        if self.count >= self.most:
            raise BusyError(f"As many as {self.most} requests of this kind are being worked on; try again later")
        self.count += 1

    def leave(self) -> None:
        """One of them is done."""
        self.count -= 1


#: For what never waits for anything.
UNBOUNDED: Final = Lane(sys.maxsize)


class InFlight:
    """How many requests have begun and are not answered yet."""

    def __init__(self) -> None:
        self.count = 0
        #: Set at the end: connections close with their next answer, so that their clients do not keep it from coming.
        self.stopping = False
        self._none = asyncio.Event()
        self._lanes = {kind: Lane(most) for kind, most in MOST_IN_FLIGHT.items()}

    def lane(self, method: str, *, anonymous: bool) -> Lane:
        """Where a route's requests are counted. Anybody can send `anonymous` ones, so they keep out nobody else."""
        return self._lanes["anonymous" if anonymous else "read" if method == "GET" else "write"]

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


IN_FLIGHT: Final = web.AppKey("in_flight", InFlight)
