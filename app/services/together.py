"""One answer for everybody who asks at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class Together(Generic[T]):
    """A question that is under way once at most, however many wait for its answer."""

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._under_way: asyncio.Task[T] | None = None

    async def answer(self) -> T:
        """The answer to the question that is under way, or to a new one. Raises what asking raises."""
        if self._under_way is None or self._under_way.done():
            self._under_way = asyncio.ensure_future(self._run())
        # One who goes away must not take the answer from the others.
        return await asyncio.shield(self._under_way)

    async def close(self) -> None:
        """Ends the question that is under way."""
        if self._under_way is not None:
            self._under_way.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._under_way

    async def _run(self) -> T:
        return await self._ask()
