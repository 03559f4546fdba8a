"""Tasks (work that may take longer than a request) and their items (the result for each entry)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from postroom.schemas.values.queries import TASK_SORT_FIELDS, TaskQuery
from postroom.storage.database import Database
from postroom.storage.engine import Connection
from postroom.storage.lists import list_statement
from postroom.storage.pieces import Sql

QUEUED, RUNNING, COMPLETED, ERROR, CANCELLED = 0, 2, 3, 4, 5
UNFINISHED = (0, 1, 2)
#: The command of tasks that run beside the queue, at once and however many others run: their clients wait for them.
BESIDE = "bulkUsers"
#: Field -> SQL expression to sort by.
_SORT_COLUMNS = {name: f"t.{name.lower()}" for name in TASK_SORT_FIELDS}

#: How many finished tasks to keep, and for how many of them to keep the unchanged items as well.
_KEPT, _KEPT_WHOLE = 100, 2

_DOCUMENT = """json_object('ID', t.id, 'command', t.command, 'state', t.state, 'created', t.created,
                           'updated', t.updated, 'message', t.message, 'params', json({params}))"""
_COUNTS = """(SELECT json_group_object(action, number) FROM
               (SELECT action, count(*) AS number FROM task_items WHERE task_id = t.id GROUP BY action))"""
_PARAMS = f"json_set(t.params, '$.counts', json({_COUNTS}))"
# json_patch() leaves out null: the ID of no user, and missing changes.
_RESULT = """
    (SELECT coalesce(json_group_array(json_patch(
                json_object('username', i.username, 'code', i.code, 'message', i.message, 'action', i.action),
                json_object('ID', i.user_id, 'objectID', i.object_id, 'changes', json(i.changes)))), '[]')
       FROM (SELECT * FROM task_items WHERE task_id = t.id ORDER BY id) i)"""


@dataclass(frozen=True, slots=True)
class TaskRow:
    """The columns of a task that transactions need."""

    id: int
    state: int
    user_id: int | None


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that works on a task. `id` is its own alone; `pid` counts on its `node` only."""

    id: str
    node: str
    pid: int


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A task that has not come to an end, whose it is, and the UNIX time of the last sign of life of that process."""

    id: int
    owner: Owner
    seen: int


@dataclass(frozen=True, slots=True)
class Item:
    """The result for one entry; `changes` is field -> [before, after], or None."""

    object_id: str
    domain_id: int
    user_id: int | None
    username: str
    action: str
    code: int
    message: str
    changes: Mapping[str, Sequence[object]] | None = None


async def select_tasks(database: Database, query: TaskQuery, *, caller: int) -> bytes:
    """The response `{"count", "data"}` as JSON."""
    filters = [] if query.user_id is None else [Sql("t.user_id = ?", (query.user_id,))]
    filters += [] if query.token_id is None else [Sql("t.token_id = ?", (query.token_id,))]
    shown = _DOCUMENT.format(params=_PARAMS)
    statement = list_statement("tasks t", query, shown, _SORT_COLUMNS, filters=filters)
    found: bytes = await database.search(caller, *statement)
    return found


_SELECT_TASK = f"""
    SELECT CAST({_DOCUMENT.format(params=f"json_set({_PARAMS}, '$.result', json({_RESULT}))")} AS BLOB)
      FROM tasks t
     WHERE t.id = ?
       AND (CAST(? AS INTEGER) IS NULL OR t.user_id = ?)
       AND (CAST(? AS INTEGER) IS NULL OR t.token_id = ?)
"""


async def select_task(
    database: Database, task_id: int, user_id: int | None, token_id: int | None = None, *, caller: int
) -> bytes | None:
    """A task's document with the result so far in `params`, or None. With a `user_id`, only a task of that user; with a
    `token_id`, only one that was started by that token.
    """
    found: bytes | None = await database.search(caller, _SELECT_TASK, (task_id, user_id, user_id, token_id, token_id))
    return found


def read_task(connection: Connection, task_id: int) -> bytes | None:
    """Like select_task, for any user's task and without a time limit."""
    row = connection.execute(_SELECT_TASK, (task_id, None, None, None, None)).fetchone()
    return bytes(row[0]) if row else None


async def select_result(database: Database, task_id: int) -> bytes | None:
    """The response `{"message", "data"}` of a finished task as JSON, or None."""
    found: bytes | None = await database.fetch_value(
        f"SELECT CAST(json_object('message', t.message, 'data', json({_RESULT})) AS BLOB) FROM tasks t WHERE t.id = ?",
        (task_id,),
    )
    return found


async def select_counts(database: Database, task_id: int) -> dict[str, int]:
    """Action -> number of items of a task."""
    found = await database.fetch_value(f"SELECT {_COUNTS} FROM tasks t WHERE t.id = ?", (task_id,))
    return dict(json.loads(found or "{}"))


async def select_queued_count(database: Database) -> int:
    """The number of queued tasks."""
    return int(await database.fetch_by_key("SELECT count(*) FROM tasks WHERE state = ?", (QUEUED,)))


def insert_task(
    connection: Connection,
    command: str,
    params: Mapping[str, object],
    user_id: int | None,
    owner: Owner,
    seen: int,
    now: str,
    token_id: int | None = None,
) -> int:
    """Adds a queued task and deletes the oldest finished ones. Returns the ID. `token_id`: what it was started by."""
    connection.execute("DELETE FROM tasks WHERE state > 2 AND id <= (SELECT max(id) FROM tasks) - ?", (_KEPT,))
    connection.execute(
        """
        DELETE FROM task_items
         WHERE action = 'unchanged'
           AND task_id IN (SELECT id FROM tasks WHERE state > 2 AND id <= (SELECT max(id) FROM tasks) - ?)
        """,
        (_KEPT_WHOLE,),
    )
    (task_id,) = connection.execute(
        """
        INSERT INTO tasks (command, params, user_id, token_id, owner, node, pid, seen, created, updated)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        RETURNING id
        """,
        (command, json.dumps(params), user_id, token_id, owner.id, owner.node, owner.pid, seen, now, now),
    ).fetchone()
    return int(task_id)


def find_task(connection: Connection, task_id: int) -> TaskRow | None:
    """The task, or None."""
    row = connection.execute("SELECT id, state, user_id FROM tasks WHERE id = ?", (task_id,)).fetchone()
    return TaskRow(*row) if row else None


def count_unfinished(connection: Connection, user_id: int | None) -> tuple[int, int]:
    """How many tasks have not come to an end: of all, and of the user."""
    sql = "SELECT count(*), count(*) FILTER (WHERE user_id IS NOT DISTINCT FROM ?) FROM tasks WHERE state <= 2"
    everybodys, own = connection.execute(sql, (user_id,)).fetchone()
    return everybodys, own


def list_unfinished(connection: Connection) -> list[Unfinished]:
    """Every task that has not come to an end."""
    rows = connection.execute("SELECT id, owner, node, pid, seen FROM tasks WHERE state <= 2 ORDER BY id")
    return [Unfinished(task_id, Owner(owner, node, pid), seen) for task_id, owner, node, pid, seen in rows]


def list_own(connection: Connection, owner_id: str, *states: int) -> list[int]:
    """The tasks of a process that are in one of these states."""
    sql = f"SELECT id FROM tasks WHERE owner = ? AND state IN ({', '.join('?' * len(states))})"
    return [task_id for (task_id,) in connection.execute(sql, (owner_id, *states))]


def is_any_running(connection: Connection) -> bool:
    """Whether a task of the queue is being worked on, by whatever process."""
    sql = "SELECT 1 FROM tasks WHERE state = ? AND command <> ?"
    return connection.execute(sql, (RUNNING, BESIDE)).fetchone() is not None


def is_any_queued_elsewhere(connection: Connection, owner_id: str, since: int) -> bool:
    """Whether another process that has shown life since then has a task that waits."""
    sql = "SELECT 1 FROM tasks WHERE state = ? AND owner <> ? AND seen > ?"
    return connection.execute(sql, (QUEUED, owner_id, since)).fetchone() is not None


def update_seen(connection: Connection, owner_id: str, seen: int) -> None:
    """A sign of life of a process, on all of its tasks."""
    connection.execute("UPDATE tasks SET seen = ? WHERE owner = ? AND state <= 2", (seen, owner_id))


def update_task(connection: Connection, task_id: int, state: int, message: str, now: str) -> bool:
    """Sets the state of an unfinished task; returns whether there was one."""
    done = connection.execute(
        "UPDATE tasks SET state = ?, message = ?, updated = ? WHERE id = ? AND state <= 2",
        (state, message, now, task_id),
    )
    return done.rowcount > 0


def delete_task(connection: Connection, task_id: int) -> None:
    """Removes a task and its items."""
    connection.execute("DELETE FROM tasks WHERE id = ?", (task_id,))


def insert_items(connection: Connection, task_id: int, items: Iterable[Item]) -> None:
    """Adds items. If an entry occurs twice, the first item stays."""
    connection.executemany(
        """
        INSERT INTO task_items (task_id, object_id, domain_id, user_id, username, action, code, message, changes)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT DO NOTHING
        """,
        (
            (
                task_id,
                item.object_id,
                item.domain_id,
                item.user_id,
                item.username,
                item.action,
                item.code,
                item.message,
                json.dumps(item.changes) if item.changes else None,
            )
            for item in items
        ),
    )
