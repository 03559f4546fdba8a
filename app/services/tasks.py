"""Runs long work as tasks, one after the other. Each has a row in the database, which outlives the process."""

import asyncio
import logging
import os
import platform
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from postroom.app.errors import PostroomError
from postroom.app.limits.turns import Turns
from postroom.app.services.task_rows import TaskRows
from postroom.app.transactions.authority import Actor, user_id_of
from postroom.app.transactions.clock import unix_now
from postroom.app.transactions.tasks import (
    MOST_UNFINISHED,
    STOPPED,
    CancelledTaskError,
    add_running_task,
    add_task,
    begin_task,
    cancel_task,
    find_orphans,
    interrupt_orphans,
    may_begin,
    name_of_process,
    too_many_tasks,
)
from postroom.storage import auth, tasks
from postroom.storage.database import Database
from postroom.storage.faults import is_unavailable
from postroom.storage.writing import WRITE_CHECK, WriteCheck, act_as, act_as_service

log = logging.getLogger("postroom.tasks")

#: Seconds between two attempts to begin a task.
ASK_AGAIN = 0.25
#: Seconds between two signs of life.
SHOW_LIFE = 5.0

#: Does the work of the task with this ID and returns a one-sentence summary.
Work = Callable[[int], Awaitable[str]]


class Tasks:
    """The tasks of this process. One task at a time runs in all processes on the database.

    `now` returns the current time in the format of the API.
    """

    def __init__(self, database: Database, now: Callable[[], str]) -> None:
        self._database = database
        self._now = now
        self._owner = tasks.Owner(name_of_process(), node(), os.getpid())
        self._rows = TaskRows(database, self._owner.id, now)
        #: Users take turns; the tasks of one user keep their order.
        self._turns = Turns(1, too_many_tasks, most=MOST_UNFINISHED, most_each=MOST_UNFINISHED)
        self._running: dict[int, asyncio.Task[None]] = {}
        self._beat: asyncio.Task[None] | None = None

    async def is_open(self) -> bool:
        """Whether the queue runs."""
        return await auth.select_setting(self._database, STOPPED) is None

    async def resume(self) -> None:
        """Resumes the queue. Every start of the service does so, too."""
        await self._database.write(auth.delete_setting, STOPPED)

    async def stop(self, seconds: float) -> bool:
        """Stops the queue and waits `seconds` for the running task, which goes on if it takes longer.

        Returns whether it has ended.
        """
        await self._database.write(auth.set_setting, STOPPED, "1")
        try:
            async with asyncio.timeout(seconds):
                while await self._database.read(tasks.is_any_running):  # noqa: ASYNC110 - perhaps in another process
                    await asyncio.sleep(ASK_AGAIN)
        except TimeoutError:
            return False
        return True

    async def recover(self) -> None:
        """Stores what could not be stored of tasks, and marks those whose process is gone as interrupted."""
        await self._rows.catch_up(self._running)
        if await self._database.look_up_by(find_orphans, self._owner):
            await self._database.write(interrupt_orphans, self._owner, self._now())

    async def start(self, command: str, params: Mapping[str, object], starter: Actor, work: Work) -> int:
        """Queues a task and returns its ID. Raises UnavailableError when too many wait, in all or of this user.

        If the caller goes away meanwhile, the task still runs: no row stays without a task.
        """
        return await asyncio.shield(self._queue(command, params, starter, work))

    async def _queue(self, command: str, params: Mapping[str, object], starter: Actor, work: Work) -> int:
        task_id = await self._rows.add(add_task, command, params, starter, self._owner, self._now())
        check = WRITE_CHECK.get()
        # The context is that of the task and of nothing else: see start().
        act_as(means="sync")
        return self._go(task_id, partial(self._work_in_turn, task_id, starter, work, check and check.of_task()))

    async def start_beside(self, command: str, params: Mapping[str, object], starter: Actor, work: Work) -> int:
        """Begins a task at once, beside the queue, for a client that waits for it; returns its ID.

        Its writes are checked like those of the request. Raises BusyError when too many run, in all or of this user.
        """
        return await asyncio.shield(self._begin_beside(command, params, starter, work))

    async def _begin_beside(self, command: str, params: Mapping[str, object], starter: Actor, work: Work) -> int:
        task_id = await self._rows.add(add_running_task, command, params, starter, self._owner, self._now())
        return self._go(task_id, partial(_checked, WRITE_CHECK.get(), work, task_id))

    def _go(self, task_id: int, working: Callable[[], Awaitable[str]]) -> int:
        running = self._running[task_id] = asyncio.create_task(self._run(task_id, working))
        running.add_done_callback(lambda ended: self._forget(task_id, ended))
        if self._beat is None:
            self._beat = asyncio.create_task(self._show_life())
        return task_id

    async def wait(self, task_id: int, seconds: float | None = None) -> bool:
        """Whether the task ended within `seconds` (None: no time limit). Raises the error that it failed with."""
        running = self._running.get(task_id)
        if running is None:
            return True
        done, _ = await asyncio.wait([running], timeout=seconds)
        # A cancelled task has ended like any other, and its row says so.
        if done and not running.cancelled():
            running.result()
        return bool(done)

    async def cancel(self, task_id: int) -> None:
        """Cancels a task; finished work stays. Raises NotFoundError, InvalidError (it has ended already).

        Completes even if the caller goes away: the row must not say "cancelled" while the task goes on.
        """
        await asyncio.shield(self._cancel(task_id))

    async def _cancel(self, task_id: int) -> None:
        # The row first: it also stops a task of another process, which reads it before each write.
        await self._database.write(cancel_task, task_id, self._now())
        running = self._running.get(task_id)
        if running is not None:
            await _end([running])

    async def close(self) -> None:
        """Cancels all unfinished tasks and says so in their rows."""
        await _end(self._running.values())
        if self._beat is not None:
            await _end([self._beat])

    def _forget(self, task_id: int, ended: asyncio.Task[None]) -> None:
        self._running.pop(task_id, None)
        if not ended.cancelled():
            # Retrieve it, or asyncio logs an exception that was never retrieved. The row has the error.
            ended.exception()

    async def _show_life(self) -> None:
        """While this process has tasks, marks them as alive, and ends those that another one has cancelled."""
        WRITE_CHECK.set(None)
        act_as_service()
        while self._running:
            await asyncio.sleep(SHOW_LIFE)
            try:
                await self._database.write(tasks.update_seen, self._owner.id, unix_now())
                # A service does so all the time, but a command may be alone.
                await self.recover()
                for task_id in await self._database.look_up_by(tasks.list_own, self._owner.id, tasks.CANCELLED):
                    if task_id in self._running:
                        self._running[task_id].cancel()
            except Exception as error:  # noqa: BLE001 - the next one may work; whoever works on a task notices by itself
                log.warning("Tasks could not show a sign of life: %s", error)
        self._beat = None

    async def _work_in_turn(self, task_id: int, starter: Actor, work: Work, check: WriteCheck | None) -> str:
        async with self._turns.turn(user_id_of(starter)):
            if not await self._begin(task_id):
                raise CancelledTaskError
            return await _checked(check, work, task_id)

    async def _run(self, task_id: int, working: Callable[[], Awaitable[str]]) -> None:
        # The check applies to the writes of the work only: the outcome of the task is always stored.
        WRITE_CHECK.set(None)
        state, message = tasks.ERROR, "Interrupted: the service was stopped"
        try:
            message = await working()
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
            message = "Failed: the log of the service has the reason"
            raise
        finally:
            await self._rows.end(task_id, state, message)

    async def _begin(self, task_id: int) -> bool:
        """Waits until no other task runs in any process; False if somebody has cancelled this one by then."""
        while True:
            # Reads first: it may wait for hours, and each write takes the lock of the whole database.
            if await self._database.look_up_by(may_begin, task_id, self._owner) is not None:
                begun = await self._database.write(begin_task, task_id, self._owner, self._now())
                if begun is not None:
                    return begun
            await asyncio.sleep(ASK_AGAIN)


async def _checked(check: WriteCheck | None, work: Work, task_id: int) -> str:
    token = WRITE_CHECK.set(check)
    try:
        return await work(task_id)
    finally:
        WRITE_CHECK.reset(token)


async def _end(running: Iterable[asyncio.Task[None]]) -> None:
    pending = set(running)
    while pending:
        # Repeat it: a library inside the task may have swallowed the first cancellation.
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=1)


def node() -> str:
    """This machine since its start, and the container: where the number of a process means something."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return f"{platform.node()} {uuid.getnode():x}"
