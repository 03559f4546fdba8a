"""Work of which so much goes on at a time: whoever waits gets a turn source by source, whoever has gone gets none."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager


class Turns:
    """At most `at_once` turns at a time. A source with many waiting gets one turn, then each of the others does.

    `most` wait in all and `most_each` of one source; beyond, `refusal()` is raised. When all places are taken, a source
    that has fewer waiting takes the last one of the source that has most.
    """

    def __init__(self, at_once: int, refusal: Callable[[], Exception], *, most: int, most_each: int) -> None:
        self._free = at_once
        self._refusal = refusal
        self._most = most
        self._most_each = most_each
        #: By source, in the order in which the sources have their turns; none is empty.
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}
        self._count = 0

    @asynccontextmanager
    async def turn(self, source: Hashable) -> AsyncIterator[None]:
        """Waits for a turn, which ends with the block. Cancelled while it waits, it never begins."""
        await self._begin(source)
        try:
            yield
        finally:
            self._next()

    async def _begin(self, source: Hashable) -> None:
        if self._free:
            self._free -= 1
            return
        self._make_room(source)
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(source, deque()).append(mine)
        self._count += 1
        try:
            await mine
        except asyncio.CancelledError:
            if mine.cancelled():
                self._forget(source, mine)
            elif mine.exception() is None:
                # It was this one's turn at the very moment.
                self._next()
            raise

    def _make_room(self, source: Hashable) -> None:
        mine = len(self._waiting.get(source, ()))
        if mine >= self._most_each:
            raise self._refusal()
        if self._count < self._most:
            return
        greedy = max(self._waiting, key=lambda each: len(self._waiting[each]))
        # Taking from one with a single one more would only change who is refused.
        if len(self._waiting[greedy]) <= mine + 1:
            raise self._refusal()
        last = self._waiting[greedy][-1]
        self._forget(greedy, last)
        if not last.done():
            last.set_exception(self._refusal())

    def _forget(self, source: Hashable, future: asyncio.Future[None]) -> None:
        queue = self._waiting.get(source)
        # A turn may have come by while the one who waited was being cancelled.
        if queue is None or future not in queue:
            return
        queue.remove(future)
        self._count -= 1
        if not queue:
            del self._waiting[source]

    def _next(self) -> None:
        while self._waiting:
            source = next(iter(self._waiting))
            queue = self._waiting.pop(source)
            future = queue.popleft()
            self._count -= 1
            if queue:
                self._waiting[source] = queue  # stands last now
            if not future.done():
                future.set_result(None)
                return
        self._free += 1
