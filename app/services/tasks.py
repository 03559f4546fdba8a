"""Work that may take longer than a request: one task after the other, each with a row that outlives the process."""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

from postroom.app.errors import PostroomError, UnavailableError
from postroom.app.limits.turns import Turns
from postroom.app.transactions.tasks import CancelledTaskError, cancel_task, interrupt_orphans
from postroom.storage import tasks
from postroom.storage.database import Database
from postroom.storage.faults import is_unavailable
from postroom.storage.writing import WRITE_CHECK, WriteCheck

log = logging.getLogger("postroom.tasks")

#: Tasks that wait for their turn or are worked on, at most.
MOST_UNFINISHED = 100
#: The same of one user.
MOST_UNFINISHED_EACH = 20

#: Does the work of the task with this ID and returns the sentence that sums it up.
Work = Callable[[int], Awaitable[str]]


class Tasks:
    """The tasks of this process. `now` writes times as the API does."""

    def __init__(self, database: Database, now: Callable[[], str]) -> None:
        self._database = database
        self._now = now
        #: Users have their turns one after the other; each one's own tasks keep their order.
        self._turns = Turns(1, _too_many, most=MOST_UNFINISHED, most_each=MOST_UNFINISHED)
        #: Set unless the queue is stopped: then whoever has the turn waits for it.
        self._open = asyncio.Event()
        self._open.set()
        #: Set while no task is being worked on.
        self._idle = asyncio.Event()
        self._idle.set()
        self._running: dict[int, asyncio.Task[None]] = {}
        #: User -> how many of theirs have not ended, those included whose row is on its way; none is 0.
        self._unfinished: Counter[int | None] = Counter()

    @property
    def open(self) -> bool:
        """Whether tasks that wait get their turn."""
        return self._open.is_set()

    def resume(self) -> None:
        """Tasks get their turn again; so they do at every start of the process."""
        self._open.set()

    async def stop(self, seconds: float) -> bool:
        """No further task begins; one that is being worked on goes on, and has so many seconds to end.

        Returns whether it has.
        """
        self._open.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def recover(self) -> None:
        """Says of tasks whose process is gone that they were interrupted; to be called before the first start."""
        await self._database.write(interrupt_orphans, self._now())

    async def start(self, command: str, params: Mapping[str, object], user_id: int | None, work: Work) -> int:
        """Queues a task and returns its ID. Raises UnavailableError when very many wait already, or many of the user.

        A caller who goes away meanwhile leaves a task that runs, never a row that nobody works on.
        """
        if self._unfinished.total() >= MOST_UNFINISHED:
            raise _too_many()
        if self._unfinished[user_id] >= MOST_UNFINISHED_EACH:
            raise UnavailableError(
                f"Already {MOST_UNFINISHED_EACH} tasks of yours are waiting; cancel some, or try again later"
            )
        # Counted at once: many may start while the row of the first is being written.
        self._unfinished[user_id] += 1
        return await asyncio.shield(self._start(command, params, user_id, work))

    async def _start(self, command: str, params: Mapping[str, object], user_id: int | None, work: Work) -> int:
        try:
            task_id = await self._database.write(tasks.insert_task, command, params, user_id, os.getpid(), self._now())
        except BaseException:
            self._ended(user_id)
            raise
        check = WRITE_CHECK.get()
        running = asyncio.create_task(self._run(task_id, user_id, work, check and check.of_task()))
        self._running[task_id] = running
        running.add_done_callback(lambda ended: self._forget(task_id, user_id, ended))
        return task_id

    async def wait(self, task_id: int, seconds: float | None = None) -> bool:
        """Whether the task ended within so many seconds (None: however long it takes). Raises what it failed with."""
        running = self._running.get(task_id)
        if running is None:
            return True
        done, _ = await asyncio.wait([running], timeout=seconds)
        # One that was cancelled has ended like any other, and its row says so.
        if done and not running.cancelled():
            running.result()
        return bool(done)

    async def cancel(self, task_id: int) -> None:
        """Ends a task; what it has done stays done. Raises NotFoundError, InvalidError (it has ended already).

        Also when the caller goes away: a row that says so while the task goes on would be wrong.
        """
        await asyncio.shield(self._cancel(task_id))

    async def _cancel(self, task_id: int) -> None:
        # The row first: it also stops a task of another process, which looks there before it writes.
        await self._database.write(cancel_task, task_id, self._now())
        running = self._running.get(task_id)
        if running is not None:
            await _end([running])

    async def close(self) -> None:
        """Stops what is under way; its rows say so."""
        await _end(self._running.values())

    def _ended(self, user_id: int | None) -> None:
        self._unfinished[user_id] -= 1
        self._unfinished += Counter()  # keeps what is more than 0

    def _forget(self, task_id: int, user_id: int | None, ended: asyncio.Task[None]) -> None:
        self._running.pop(task_id, None)
        self._ended(user_id)
        if not ended.cancelled():
            # Looked at, or asyncio complains of a failure that nobody waited for; the row tells it.
            ended.exception()

    async def _run(self, task_id: int, user_id: int | None, work: Work, check: WriteCheck | None) -> None:
        # What has become of the task is stored in any case; the check is for what the work writes.
        WRITE_CHECK.set(None)
        state, message = tasks.ERROR, "Interrupted: the service was stopped"
        try:
            async with self._begun(user_id):
                if await self._database.write(tasks.update_task, task_id, tasks.RUNNING, "", self._now()):
                    message = await _checked(check, work(task_id))
                    state = tasks.COMPLETED
        except PostroomError as error:
            message = error.message
            raise
        except CancelledTaskError:
            message = "Cancelled"
        except Exception as error:
            if is_unavailable(error):
                log.error("Task %d: the database failed: %s", task_id, error)  # noqa: TRY400 - no fault of the code
            else:
                log.exception("Task %d failed", task_id)
            message = "Failed: the log of the service tells why"
            raise
        finally:
            await self._finish(task_id, state, message)

    @asynccontextmanager
    async def _begun(self, user_id: int | None) -> AsyncIterator[None]:
        # In this order: whoever came first has the turn and waits, so the order is kept over a stop.
        async with self._turns.turn(user_id):
            await self._open.wait()
            self._idle.clear()
            try:
                yield
            finally:
                self._idle.set()

    async def _finish(self, task_id: int, state: int, message: str) -> None:
        try:
            await asyncio.shield(self._database.write(tasks.update_task, task_id, state, message, self._now()))
        except Exception as error:
            # At the next start the task is found unfinished.
            fault = None if is_unavailable(error) else error
            log.warning("The end of task %d could not be stored: %s", task_id, error, exc_info=fault)


def _too_many() -> UnavailableError:
    return UnavailableError(f"Already {MOST_UNFINISHED} tasks are waiting; cancel some, or try again later")


async def _checked(check: WriteCheck | None, working: Awaitable[str]) -> str:
    token = WRITE_CHECK.set(check)
    try:
        return await working
    finally:
        WRITE_CHECK.reset(token)


async def _end(running: Iterable[asyncio.Task[None]]) -> None:
    pending = set(running)
    while pending:
        # Said again, in case one was just inside a library that took the first time for something else.
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=1)
