"""Connections whose callers share hops: whatever waits at the same time is run together, caller by caller."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from postroom.storage.engine import Connection, Session
from postroom.storage.faults import of_batch

#: Most jobs of one hop, and most write transactions that share one commit. Beyond this the gain in fsyncs is gone and
#: only the wait grows.
BATCH = 256
#: Seconds after which a hop begins nothing more: what is left is mixed with whatever has come meanwhile.
BATCH_SECONDS = 0.02

#: Who asks, as a key: the ID of a user; None for anybody else. Callers have their turns one after the other, so that
#: nobody waits for all that somebody else has asked before.
ASKER: ContextVar[object] = ContextVar("ASKER", default=None)


class Job:
    """A function that waits for its turn on a connection's thread, and the future that gets its outcome."""

    __slots__ = ("args", "asker", "function", "future")

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.asker = ASKER.get()
        self.function = function
        self.args = args
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()


#: What became of the first jobs of a batch, in order: (result, None) or (None, what it raised). At least of one; the
#: others have not begun.
Outcomes = list[tuple[Any, Exception | None]]


class Lane:
    """One connection that takes whatever waits at the same time together, in one hop to its thread."""

    def __init__(self, session: Session, run_batch: Callable[[Any, list[Job]], Outcomes]) -> None:
        self._session = session
        self._run_batch = run_batch
        #: By caller, in the order of their turns; none is empty.
        self._waiting: dict[object, deque[Job]] = {}
        self._worker: asyncio.Task[None] | None = None

    async def run(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """The result of `function(connection, *args)`. A caller who is cancelled before its turn has asked nothing."""
        job = Job(function, args)
        self._waiting.setdefault(job.asker, deque()).append(job)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await job.future

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return sum(map(len, self._waiting.values()))

    async def drain(self) -> None:
        """Waits until everything that was accepted is done."""
        if self._worker is not None:
            await asyncio.shield(self._worker)

    async def _work(self) -> None:
        try:
            while self._waiting:
                if batch := self._next_batch():
                    await self._settle(batch)
        finally:
            self._worker = None

    def _next_batch(self) -> list[Job]:
        """One job of each caller after the other, without those whose callers have gone."""
        batch: list[Job] = []
        while self._waiting and len(batch) < BATCH:
            asker = next(iter(self._waiting))
            jobs = self._waiting.pop(asker)
            job = jobs.popleft()
            if not job.future.done():
                batch.append(job)
            if jobs:
                self._waiting[asker] = jobs  # stands last now
        return batch

    async def _settle(self, batch: list[Job]) -> None:
        try:
            outcomes = await self._session.run(self._run_batch, batch)
        except Exception as error:  # noqa: BLE001 - handed on to everyone who waits for this batch
            outcomes = [(None, of_batch(error)) for _ in batch]
        for job in reversed(batch[len(outcomes) :]):
            self._waiting.setdefault(job.asker, deque()).appendleft(job)
        for job, (result, raised) in zip(batch, outcomes, strict=False):
            if job.future.done():  # the caller was cancelled meanwhile
                continue
            if raised is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(raised)


def run_reads(connection: Connection, batch: list[Job]) -> Outcomes:
    """Each job by itself: there is nothing that a read could spoil for the next."""
    outcomes: Outcomes = []
    until = time.monotonic() + BATCH_SECONDS
    for job in batch:
        if outcomes and time.monotonic() > until:
            break
        try:
            outcomes.append((job.function(connection, *job.args), None))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is its caller's to see
            outcomes.append((None, error))
    return outcomes
