"""Turns what a write has changed into rows of the record: one for each object."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, count, filterfalse, islice
from typing import Any, Final, NamedTuple

from postroom.storage.audit.changes import Noted, changes_of
from postroom.storage.audit.tables import OBJECTS
from postroom.storage.audit.trimming import trimmed
from postroom.storage.engine import Connection, Writer

#: What is noted, as one JSON list: row by row it takes longer, and other threads may hold up each of them.
NOTED: Final = """
    (SELECT CAST(json_group_array(json_array(
                seq, job, place, kind, object_id, entry, action, json(changes),
                CASE kind WHEN 'user' THEN (SELECT username FROM users WHERE id = object_id)
                          WHEN 'domain' THEN (SELECT domainname FROM domains WHERE id = object_id)
                          WHEN 'role' THEN (SELECT name FROM roles WHERE id = object_id)
                          WHEN 'token' THEN (SELECT name FROM api_tokens WHERE id = object_id)
                          WHEN 'task' THEN (SELECT command FROM tasks WHERE id = object_id)
                          WHEN 'org' THEN (SELECT name FROM orgs WHERE id = object_id)
                          WHEN 'ldap' THEN coalesce((SELECT name FROM orgs WHERE id = object_id), '')
                          WHEN 'defaults' THEN coalesce((SELECT domainname FROM domains WHERE id = object_id), '')
                          ELSE '' END,
                CASE kind WHEN 'user' THEN (SELECT domain_id FROM users WHERE id = object_id)
                          WHEN 'domain' THEN object_id
                          WHEN 'token' THEN (SELECT domain_id FROM users WHERE id =
                                                (SELECT user_id FROM api_tokens WHERE id = object_id))
                          WHEN 'defaults' THEN nullif(object_id, 0) END)) AS BLOB)
       FROM audit_changes)
"""
FORGET: Final = "DELETE FROM audit_changes"
_COLUMNS: Final = (
    "id, means, operation, source, request_id, actor_id, actor, token_id, token, "
    "action, kind, object_id, name, former, domain_id, changes"
)
#: Most rows of one statement.
_MOST_ROWS: Final = 32
#: The ID of a row is the time, or the next number that is free: others may have been given in the same moment, and many
#: in an hour that the clock shows for the second time.
_TAKEN: Final = "SELECT id FROM audit WHERE id BETWEEN ? AND ?"
#: Microseconds, more than rows are stored together.
_MOMENT: Final = 1_000_000
#: (whether the object was there before, and after) -> what was done.
_ACTIONS: Final = {(True, True): "change", (False, True): "create", (True, False): "delete"}
#: Kind -> the field with the name of the object.
_NAMES: Final = {
    "user": "username",
    "domain": "domainname",
    "org": "name",
    "role": "name",
    "token": "name",  # nosec B105 - the name of a field
    "task": "command",
}


class Author(NamedTuple):
    """Who writes, and by what means. docs/audit.md lists the means."""

    means: str
    #: The ID of the operation in the API, or the command.
    operation: str = ""
    source: str = ""
    request_id: str = ""
    #: None: nobody who is a user here. Of a command, the name is that of the system's user.
    actor_id: int | None = None
    actor: str = ""
    token_id: int | None = None
    token: str = ""


def record(
    connection: Connection, noted: Sequence[Sequence[Any]], last_id: int | None, authors: Sequence[Author], now: float
) -> None:
    """Stores what has been changed inside the transaction, by writes of these authors in the order of their numbers.

    `noted`: what NOTED has found. `last_id`: of the rows that are there. `now`: the UNIX time.
    """
    if not noted:
        return
    connection.execute(FORGET)
    ids = _free_ids(connection, int(now * 1_000_000), last_id or 0)
    changed = _rows(connection, sorted(map(Noted._make, noted)))
    rows = [(row_id, *authors[job], *row) for row_id, (job, row) in zip(ids, changed, strict=False)]
    for start in range(0, len(rows), _MOST_ROWS):
        part = rows[start : start + _MOST_ROWS]
        connection.execute(_insert(len(part)), list(chain.from_iterable(part)))


def _free_ids(connection: Connection, first: int, last_id: int) -> Iterator[int]:
    if last_id < first:
        return count(first)
    taken = {row_id for (row_id,) in connection.execute(_TAKEN, (first, first + _MOMENT)).fetchall()}
    return filterfalse(taken.__contains__, count(first))


@cache
def _insert(rows: int) -> str:
    values = ", ".join([f"({', '.join('?' * len(_COLUMNS.split(', ')))})"] * rows)
    return f"INSERT INTO audit ({_COLUMNS}) VALUES {values}"


def record_restore(connection: Connection, author: Author, changes: Mapping[str, list[Any]], now: float) -> None:
    """Records that the database was restored from a backup: the last row of the backup's record, or behind it."""
    (last_id,) = connection.execute("SELECT max(id) FROM audit").fetchone()
    (row_id,) = islice(_free_ids(connection, int(now * 1_000_000), last_id or 0), 1)
    row = ("change", "settings", 0, "", None, None, trimmed(changes))
    connection.execute(_insert(1), (row_id, *author, *row))


def discard(connection: Writer) -> None:
    """Forgets what the write has changed until now: secrets are encrypted anew, but still the same."""
    connection.execute("DELETE FROM audit_changes WHERE job = ?", (connection.job,))


def _rows(connection: Connection, noted: Iterable[Noted]) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """(number of the write, row of the record from the action on)"""
    objects: dict[tuple[int, str, int], list[Noted]] = {}
    #: The last names and domains of objects that are gone.
    ended: dict[tuple[str, int], tuple[str, int | None]] = {}
    for each in noted:
        objects.setdefault((each.job, each.kind, each.object_id), []).append(each)
        if each.action == "D" and each.table in OBJECTS:
            ended[each.kind, each.object_id] = _last_name(connection, each)
    for (job, kind, object_id), parts in objects.items():
        name, domain_id = parts[0].name, parts[0].domain_id
        if name is None:
            # An object without a name went with its domain, whose row stands for it.
            if (kind, object_id) not in ended:
                continue
            name, domain_id = ended[kind, object_id]
        own = [part.action for part in parts if part.table in OBJECTS] or ["U"]
        action = _ACTIONS.get((own[0] != "I", own[-1] != "D"))
        changes = changes_of(parts)
        if changes and action is not None:
            former = changes[_NAMES[kind]][0] if _NAMES.get(kind) in changes else None
            yield job, (action, kind, object_id, name, former, domain_id, trimmed(changes))


def _last_name(connection: Connection, ended: Noted) -> tuple[str, int | None]:
    changes = ended.changes
    name = changes[_NAMES[ended.kind]][0] if ended.kind in _NAMES else ""
    if ended.kind == "user":
        return name, changes["domain_id"][0]
    if ended.kind == "token":
        # On SQLite an ID of 0, the administrator's, is left out as empty.
        owner_id, _ = changes.get("user_id", (0, None))
        owner = connection.execute("SELECT domain_id FROM users WHERE id = ?", (owner_id,)).fetchone()
        return name, owner[0] if owner else None
    return name, ended.domain_id
