"""Shares one answer among concurrent callers."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class Together(Generic[T]):
    """A question that is asked only once at a time; concurrent callers share the answer."""

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._in_flight: asyncio.Task[T] | None = None

    async def answer(self) -> T:
        """The answer to the question in flight, or to a new one. Raises the errors of `ask`."""
        if self._in_flight is None or self._in_flight.done():
            self._in_flight = asyncio.ensure_future(self._run())
        # A caller who goes away must not cancel the question of the others.
        return await asyncio.shield(self._in_flight)

    async def close(self) -> None:
        """Cancels the question in flight."""
        if self._in_flight is not None:
            self._in_flight.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._in_flight

    async def _run(self) -> T:
        return await self._ask()
