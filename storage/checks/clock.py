"""Checks that need the present time, which depends on the configured time zone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from postroom.storage.checks.findings import Check, State
from postroom.storage.engine import Connection

#: Seconds that the clocks of several nodes may differ.
_TOLERATED: Final = 60

_LATEST: Final = """
    SELECT 'tasks: ' || max(seen) FROM tasks HAVING max(seen) > ?
    UNION ALL
    SELECT 'wipes of devices: ' || max(time) FROM wipe_history HAVING max(time) > ?
    UNION ALL
    SELECT 'logins: ' || max(last_used) FROM sessions HAVING max(last_used) > ?
    UNION ALL
    SELECT 'tokens: ' || max(created) FROM api_tokens HAVING max(created) > ?
    UNION ALL
    SELECT 'changes: ' || max(id) / 1000000 FROM audit HAVING max(id) / 1000000 > ?
"""
_WAITING: Final = "SELECT id, command, created FROM tasks WHERE state <= 2 AND created < ? ORDER BY id"
_LATEST_TEXT: Final = "SELECT 'tasks: ' || max(updated) FROM tasks HAVING max(updated) > ?"


@dataclass(frozen=True, slots=True)
class Now:
    """The present: as UNIX time, and in the format of the database a minute from now and a day ago."""

    unix: int
    soon: str
    yesterday: str


def checks(present: Callable[[], Now]) -> tuple[Check[Connection], ...]:
    """The checks. They ask for the present when they begin, because those before them may take minutes."""

    def find_later_rows(connection: Connection) -> Iterator[str]:
        now = present()
        limit = now.unix + _TOLERATED
        for (text,) in connection.execute(_LATEST, [limit] * 5):
            yield f"{text} (UNIX time; it is {now.unix} now)"
        for (text,) in connection.execute(_LATEST_TEXT, (now.soon,)):
            yield text

    def find_waiting_tasks(connection: Connection) -> Iterator[str]:
        for task_id, command, created in connection.execute(_WAITING, (present().yesterday,)):
            yield f"task {task_id} ({command}) of {created}"

    return (
        Check(
            "Machine",
            "clock",
            promise="The clock is not behind what is stored",
            fault="stored times in the future",
            find=find_later_rows,
            advice="Set the clock (timedatectl), and POSTROOM_TIMEZONE if it was changed: with a clock that is behind, "
            "logins end too late and the newest entries are sorted wrongly",
            state=State.WARNING,
        ),
        Check(
            "Tasks",
            "waiting tasks",
            promise="No task waits or runs for more than a day",
            fault="tasks that have waited or run for more than a day",
            find=find_waiting_tasks,
            advice="Start the queue if it is stopped (POST /tasq/start); cancel what is not needed any more",
            state=State.WARNING,
        ),
    )
