"""Tasks that run beside the queue, while their clients wait."""

import json
from collections.abc import Mapping

from postroom.storage.engine import Connection
from postroom.storage.tasks import BESIDE, RUNNING


def count_beside(connection: Connection, user_id: int | None) -> tuple[int, int]:
    """How many tasks run beside the queue: of all, and of the user."""
    sql = """
        SELECT count(*), coalesce(sum(CASE WHEN user_id IS NOT DISTINCT FROM ? THEN 1 ELSE 0 END), 0)
          FROM tasks
         WHERE state = ? AND command = ?
    """
    everybodys, own = connection.execute(sql, (user_id, RUNNING, BESIDE)).fetchone()
    return everybodys, own


def update_progress(connection: Connection, task_id: int, params: Mapping[str, object], message: str, now: str) -> bool:
    """Stores how far an unfinished task is; returns whether there was one."""
    done = connection.execute(
        "UPDATE tasks SET params = ?, message = ?, updated = ? WHERE id = ? AND state <= 2",
        (json.dumps(params), message, now, task_id),
    )
    return done.rowcount > 0
