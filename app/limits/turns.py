"""A fair queue: limits how much work runs at once, and gives turns to the waiting sources in rotation."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager


class Turns:
    """At most `at_once` turns at a time. A source with many waiters gets one turn, then each of the others does.

    At most `most` wait in all, and `most_each` of one source; beyond that, `refusal()` is raised. When all places are
    taken, a source with fewer waiters takes the last place of the source with the most.
    """

    def __init__(self, at_once: int, refusal: Callable[[], Exception], *, most: int, most_each: int) -> None:
        self._free = at_once
        self._refusal = refusal
        self._most = most
        self._most_each = most_each
        #: The waiters by source, in the order of the sources' turns; no queue is empty.
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}
        self._count = 0

    @asynccontextmanager
    async def turn(self, source: Hashable) -> AsyncIterator[None]:
        """Waits for a turn; the turn ends with the block. A waiter that is cancelled gets no turn."""
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
                # The turn came at the same moment: pass it on.
                self._next()
            raise

    def _make_room(self, source: Hashable) -> None:
        mine = len(self._waiting.get(source, ()))
        if mine >= self._most_each:
            raise self._refusal()
        if self._count < self._most:
            return
        greedy = max(self._waiting, key=lambda each: len(self._waiting[each]))
        # Taking a place from a source with one waiter more would only change which one is refused.
        if len(self._waiting[greedy]) <= mine + 1:
            raise self._refusal()
        last = self._waiting[greedy][-1]
        self._forget(greedy, last)
        if not last.done():
            last.set_exception(self._refusal())

    def _forget(self, source: Hashable, future: asyncio.Future[None]) -> None:
        queue = self._waiting.get(source)
        # The waiter may have got its turn while it was being cancelled.
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
                self._waiting[source] = queue  # at the end of the rotation
            if not future.done():
                future.set_result(None)
                return
        self._free += 1
