"""Waits for what nothing tells."""

import asyncio
from collections.abc import Callable


async def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Waits until something is so. TimeoutError after as long as a busy machine may take."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.005)
