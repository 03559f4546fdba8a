"""The rules of task rows; services/tasks.py runs the tasks."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from postroom.app.errors import BusyError, InvalidError, NotFoundError, UnavailableError
from postroom.app.transactions.authority import Actor, user_id_of
from postroom.app.transactions.clock import unix_now
from postroom.storage import auth, tasks, tasks_beside
from postroom.storage.engine import Connection
from postroom.storage.tasks import Owner, Unfinished

#: Tasks that are queued or running, at most, in all processes.
MOST_UNFINISHED = 100
#: The same for one user.
MOST_UNFINISHED_EACH = 20
#: Running beside the queue, at most, in all processes and of one user.
MOST_BESIDE, MOST_BESIDE_EACH = 8, 2
#: Seconds without a sign of life after which a process on another node counts as gone.
SILENT = 30
#: The setting that says that the queue is stopped, for all processes.
STOPPED: Final = "tasks_stopped"
#: The setting that says which process had the last task.
_LAST: Final = "tasks_last_owner"


class CancelledTaskError(Exception):
    """The running task was cancelled."""


def check_not_cancelled(connection: Connection, task_id: int) -> None:
    """Raises CancelledTaskError, so that a cancelled task writes nothing more."""
    if not _is_unfinished(connection, task_id):
        raise CancelledTaskError


def _is_unfinished(connection: Connection, task_id: int) -> bool:
    task = tasks.find_task(connection, task_id)
    return task is not None and task.state in tasks.UNFINISHED


def delete_task(connection: Connection, task_id: int) -> None:
    """Deletes a task that has ended. Raises NotFoundError, InvalidError."""
    task = _find(connection, task_id)
    if task.state in tasks.UNFINISHED:
        raise InvalidError(f"Task {task_id} has not ended yet; cancel it first")
    tasks.delete_task(connection, task_id)


def cancel_task(connection: Connection, task_id: int, now: str) -> None:
    """Marks a task as cancelled. Raises NotFoundError, InvalidError (it has ended already)."""
    _find(connection, task_id)
    if not tasks.update_task(connection, task_id, tasks.CANCELLED, "Cancelled", now):
        raise InvalidError(f"Task {task_id} has ended already")


def _find(connection: Connection, task_id: int) -> tasks.TaskRow:
    task = tasks.find_task(connection, task_id)
    if task is None:
        raise NotFoundError.of("task", task_id)
    return task


def add_task(
    connection: Connection,
    command: str,
    params: Mapping[str, object],
    starter: Actor,
    owner: Owner,
    now: str,
) -> int:
    """Stores a task that waits for its turn; returns its ID. Raises UnavailableError when too many wait already."""
    user_id = user_id_of(starter)
    everybodys, own = tasks.count_unfinished(connection, user_id)
    if everybodys >= MOST_UNFINISHED:
        raise too_many_tasks()
    if own >= MOST_UNFINISHED_EACH:
        raise UnavailableError(
            f"Already {MOST_UNFINISHED_EACH} tasks of yours are waiting; cancel some, or try again later"
        )
    token_id = starter.token.id if starter is not None and starter.token is not None else None
    return tasks.insert_task(connection, command, params, user_id, owner, unix_now(), now, token_id)


def add_running_task(
    connection: Connection,
    command: str,
    params: Mapping[str, object],
    starter: Actor,
    owner: Owner,
    now: str,
) -> int:
    """Stores a task that runs beside the queue; returns its ID. Raises BusyError when too many of its kind run."""
    everybodys, own = tasks_beside.count_beside(connection, user_id_of(starter))
    if own >= MOST_BESIDE_EACH:
        raise BusyError(f"Already {MOST_BESIDE_EACH} such requests of yours are in flight; try again later")
    if everybodys >= MOST_BESIDE:
        raise BusyError(f"Already {MOST_BESIDE} such requests are in flight; try again later")
    task_id = add_task(connection, command, params, starter, owner, now)
    tasks.update_task(connection, task_id, tasks.RUNNING, "", now)
    return task_id


def report_progress(connection: Connection, task_id: int, params: Mapping[str, object], message: str, now: str) -> None:
    """Stores how far a task is. Raises CancelledTaskError, so that a cancelled task writes nothing."""
    if not tasks_beside.update_progress(connection, task_id, params, message, now):
        raise CancelledTaskError


def too_many_tasks() -> UnavailableError:
    """The error when no more tasks may wait."""
    return UnavailableError(f"Already {MOST_UNFINISHED} tasks are waiting; cancel some, or try again later")


def may_begin(connection: Connection, task_id: int, own: Owner) -> bool | None:
    """Whether a task may begin: no other is being worked on in any process, and the queue is not stopped.

    Processes take turns: the one that had the last task lets others begin theirs first, if they show life.

    None: it has to wait. False: somebody has cancelled it.
    """
    if not _is_unfinished(connection, task_id):
        return False
    if tasks.is_any_running(connection) or auth.find_setting(connection, STOPPED) is not None:
        return None
    had_last = auth.find_setting(connection, _LAST) == own.id
    if had_last and tasks.is_any_queued_elsewhere(connection, own.id, unix_now() - SILENT):
        return None
    return True


def begin_task(connection: Connection, task_id: int, own: Owner, now: str) -> bool | None:
    """Begins a task if it may; returns what may_begin() does."""
    may = may_begin(connection, task_id, own)
    if not may:
        return may
    auth.set_setting(connection, _LAST, own.id)
    return tasks.update_task(connection, task_id, tasks.RUNNING, "", now)


def find_orphans(connection: Connection, own: Owner) -> list[int]:
    """The unfinished tasks of processes that are gone."""
    return [task.id for task in tasks.list_unfinished(connection) if task.owner.id != own.id and not _lives(task, own)]


def interrupt_orphans(connection: Connection, own: Owner, now: str) -> None:
    """Marks the unfinished tasks of processes that are gone as interrupted."""
    for task_id in find_orphans(connection, own):
        tasks.update_task(connection, task_id, tasks.ERROR, "Interrupted: the process that worked on it is gone", now)


def _lives(task: Unfinished, own: Owner) -> bool:
    if task.owner.node == own.node:
        # A task with the PID of this process, but not its ID, belongs to an earlier process.
        return task.owner.pid != own.pid and _is_running(task.owner)
    return task.seen > unix_now() - SILENT


def name_of_process() -> str:
    """A name that no other process has; it says when this one began."""
    return f"{secrets.token_hex(8)}@{_begun(os.getpid())}"


def _is_running(owner: Owner) -> bool:
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    begun = owner.id.partition("@")[2]
    # Another process may have the number by now: in a container that starts again, it is the same each time.
    return not begun or _begun(owner.pid) in (begun, "")


def _begun(pid: int) -> str:
    """When a process began, in ticks since the machine did; empty where nobody tells."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
