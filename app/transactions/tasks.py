"""The rows of tasks; services/tasks.py runs them."""

import os

from postroom.app.errors import InvalidError, NotFoundError
from postroom.storage import tasks
from postroom.storage.sqlite import sqlite3


class CancelledTaskError(Exception):
    """Somebody has cancelled the task that is being worked on."""


def check_not_cancelled(connection: sqlite3.Connection, task_id: int) -> None:
    """Raises CancelledTaskError, before anything is written that nobody wants any more."""
    task = tasks.find_task(connection, task_id)
    if task is None or task.state not in tasks.UNFINISHED:
        raise CancelledTaskError


def delete_task(connection: sqlite3.Connection, task_id: int) -> None:
    """Forgets a task that has ended. Raises NotFoundError, InvalidError."""
    task = _find(connection, task_id)
    if task.state in tasks.UNFINISHED:
        raise InvalidError(f"Task {task_id} has not ended yet; cancel it first")
    tasks.delete_task(connection, task_id)


def cancel_task(connection: sqlite3.Connection, task_id: int, now: str) -> None:
    """Marks a task as cancelled. Raises NotFoundError, InvalidError (it has ended already)."""
    _find(connection, task_id)
    if not tasks.update_task(connection, task_id, tasks.CANCELLED, "Cancelled", now):
        raise InvalidError(f"Task {task_id} has ended already")


def _find(connection: sqlite3.Connection, task_id: int) -> tasks.TaskRow:
    task = tasks.find_task(connection, task_id)
    if task is None:
        raise NotFoundError.of("task", task_id)
    return task


def interrupt_orphans(connection: sqlite3.Connection, now: str) -> None:
    """Marks the unfinished tasks of processes that are gone as interrupted."""
    for task_id, pid in tasks.list_unfinished(connection):
        # This process has not begun any yet: what bears its number is of one before it.
        if pid == os.getpid() or not _is_running(pid):
            tasks.update_task(
                connection, task_id, tasks.ERROR, "Interrupted: the process that worked on it is gone", now
            )


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
