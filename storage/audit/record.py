"""Turns what a write has changed into rows of the record: one for each object."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import count, filterfalse
from typing import Any, Final, NamedTuple

import orjson

from postroom.storage.audit.changes import Noted, changes_of
from postroom.storage.audit.tables import OBJECTS
from postroom.storage.audit.trimming import trimmed
from postroom.storage.engine import Connection, Writer

#: Of what is noted, all goes with this.
_TAKE: Final = """
    DELETE FROM audit_changes
    RETURNING seq, job, place, kind, object_id, entry, action, changes,
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
                        WHEN 'defaults' THEN nullif(object_id, 0) END
"""
_INSERT: Final = """
    INSERT INTO audit (id, means, operation, source, request_id, actor_id, actor, token_id, token,
                       action, kind, object_id, name, former, domain_id, changes)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
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


def record(connection: Connection, authors: Sequence[Author], now: float) -> None:
    """Stores what has been changed inside the transaction, by writes of these authors in the order of their numbers.

    `now` is the UNIX time.
    """
    noted = connection.execute(_TAKE).fetchall()
    if not noted:
        return
    noted = sorted(map(Noted._make, noted))
    first = int(now * 1_000_000)
    taken = {row_id for (row_id,) in connection.execute(_TAKEN, (first, first + _MOMENT)).fetchall()}
    free = filterfalse(taken.__contains__, count(first))
    rows = [(row_id, *authors[job], *row) for row_id, (job, row) in zip(free, _rows(connection, noted), strict=False)]
    if len(rows) == 1:
        connection.execute(_INSERT, rows[0])
    elif rows:
        connection.executemany(_INSERT, rows)


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
    changes = orjson.loads(ended.changes)
    name = changes[_NAMES[ended.kind]][0] if ended.kind in _NAMES else ""
    if ended.kind == "user":
        return name, changes["domain_id"][0]
    if ended.kind == "token":
        # On SQLite an ID of 0, the administrator's, is left out as empty.
        owner_id, _ = changes.get("user_id", (0, None))
        owner = connection.execute("SELECT domain_id FROM users WHERE id = ?", (owner_id,)).fetchone()
        return name, owner[0] if owner else None
    return name, ended.domain_id
