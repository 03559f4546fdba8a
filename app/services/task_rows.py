"""The rows of this process's tasks, also when the database is away at the moment when one should be written.

As long as a row says that a task waits or runs, no later task begins in any process.
"""

import asyncio
import logging
from collections.abc import Callable, Container
from typing import Any

from postroom.storage import tasks
from postroom.storage.database import Database
from postroom.storage.faults import UncertainError, is_unavailable

log = logging.getLogger("postroom.tasks")


class TaskRows:
    """Writes the rows. What could not be written is made up for in `catch_up()`."""

    def __init__(self, database: Database, owner_id: str, now: Callable[[], str]) -> None:
        self._database = database
        self._owner_id = owner_id
        self._now = now
        #: The ends of tasks that could not be stored yet: state and message.
        self._unstored: dict[int, tuple[int, str]] = {}
        self._adding = 0
        #: Whether there may be a row that nobody was told of.
        self._doubtful = False

    async def add(self, add: Callable[..., int], *args: Any) -> int:
        """The ID of a new row, which `add(connection, *args)` writes. Nothing else runs before the caller has it."""
        self._adding += 1
        try:
            return await self._database.write(add, *args)
        except UncertainError:
            self._doubtful = True
            raise
        finally:
            self._adding -= 1

    async def end(self, task_id: int, state: int, message: str) -> None:
        """Stores the end of a task, now or later."""
        try:
            await asyncio.shield(self._database.write(tasks.update_task, task_id, state, message, self._now()))
        except Exception as error:
            self._unstored[task_id] = state, message
            fault = None if is_unavailable(error) else error
            log.warning("The end of task %d could not be stored: %s", task_id, error, exc_info=fault)

    async def catch_up(self, running: Container[int]) -> None:
        """Stores what could not be stored before. `running`: the tasks that this process works on."""
        for task_id, (state, message) in list(self._unstored.items()):
            await self._database.write(tasks.update_task, task_id, state, message, self._now())
            self._unstored.pop(task_id, None)
        if self._doubtful:
            await self._end_untold(running)

    async def _end_untold(self, running: Container[int]) -> None:
        self._doubtful = False
        try:
            for task_id in await self._database.look_up_by(tasks.list_own, self._owner_id, *tasks.UNFINISHED):
                if task_id in running:
                    continue
                if self._adding:
                    self._doubtful = True  # this may be the row that is just being added
                    continue
                message = "Interrupted: the database was lost while this was stored"
                await self._database.write(tasks.update_task, task_id, tasks.ERROR, message, self._now())
        except BaseException:
            self._doubtful = True
            raise
