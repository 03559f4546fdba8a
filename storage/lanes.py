"""Connections whose callers share hops: whatever waits at the same time is run together."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any

from postroom.storage.connections import Connection
from postroom.storage.faults import of_batch

#: Most jobs of one hop, and most write transactions that share one commit. Beyond this the gain in fsyncs is gone and
#: only the wait grows.
BATCH = 256


class Job:
    """A function that waits for its turn on a connection's thread, and the future that gets its outcome."""

    __slots__ = ("args", "function", "future")

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.function = function
        self.args = args
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()


#: What became of each job of a batch, in order: (result, None) or (None, what it raised).
Outcomes = list[tuple[Any, Exception | None]]


class Lane:
    """One connection that takes whatever waits at the same time together, in one hop to its thread."""

    def __init__(self, connection: Connection, run_batch: Callable[[sqlite3.Connection, list[Job]], Outcomes]) -> None:
        self.connection = connection
        self._run_batch = run_batch
        self._waiting: list[Job] = []
        self._worker: asyncio.Task[None] | None = None

    async def run(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """The result of `function(connection, *args)`. A caller who is cancelled before its turn has asked nothing."""
        job = Job(function, args)
        self._waiting.append(job)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await job.future

    async def drain(self) -> None:
        """Waits until everything that was accepted is done."""
        if self._worker is not None:
            await asyncio.shield(self._worker)

    async def _work(self) -> None:
        try:
            while self._waiting:
                taken, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                batch = [job for job in taken if not job.future.done()]
                if batch:
                    await self._settle(batch)
        finally:
            self._worker = None

    async def _settle(self, batch: list[Job]) -> None:
        try:
            outcomes = await self.connection.run(self._run_batch, batch)
        except Exception as error:  # noqa: BLE001 - handed on to everyone who waits for this batch
            outcomes = [(None, of_batch(error)) for _ in batch]
        for job, (result, raised) in zip(batch, outcomes, strict=True):
            if job.future.done():  # the caller was cancelled meanwhile
                continue
            if raised is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(raised)


def run_reads(connection: sqlite3.Connection, batch: list[Job]) -> Outcomes:
    """Each job by itself: there is nothing that a read could spoil for the next."""
    outcomes: Outcomes = []
    for job in batch:
        try:
            outcomes.append((job.function(connection, *job.args), None))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is its caller's to see
            outcomes.append((None, error))
    return outcomes
