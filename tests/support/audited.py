"""Whether the record of changes is complete: replayed from its first row on, it has to lead to what is stored."""

from collections.abc import Iterator
from typing import Any

import orjson

from postroom.storage.audit.changes import _inside, _shown
from postroom.storage.audit.recorded import SECRET, Recorded
from postroom.storage.audit.tables import RECORDED
from postroom.storage.audit.trimming import LONGEST_TEXT, MORE, MOST_MEMBERS
from postroom.storage.checks.snapshots import snapshot

#: (kind, ID) -> field -> value; a list is a set of its members.
State = dict[tuple[str, int], dict[str, Any]]

#: Most rows that are replayed after a test.
MOST_ROWS = 3000


def missing(connection: Any) -> list[str]:
    """What the record does not tell about what is stored in a database that nobody else has written to."""
    # What is still at work, such as the task of a client that has just gone, may write meanwhile.
    with snapshot(connection):
        ((rows,),) = connection.execute("SELECT count(*) FROM audit").fetchall()
        if not 0 < rows <= MOST_ROWS:
            return []
        told, stored = _replayed(connection), _stored(connection)
    found = []
    for key in told.keys() | stored.keys():
        one, other = told.get(key, {}), stored.get(key, {})
        names = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
        found += [
            f"audit of {key}: {name} is {other.get(name)!r}, but recorded as {one.get(name)!r}"
            for name in names
            if MORE not in one and not _is_cut(other.get(name))
        ]
    return found


def _replayed(connection: Any) -> State:
    state: State = {}
    domains: dict[tuple[str, int], int | None] = {}
    for kind, object_id, action, domain_id, changes in connection.execute(
        "SELECT kind, object_id, action, domain_id, changes FROM audit ORDER BY id"
    ).fetchall():
        key = (kind, object_id)
        if action == "delete":
            _end(state, domains, key)
            continue
        domains[key] = domain_id
        fields = state.setdefault(key, {})
        for name, (before, after) in orjson.loads(changes).items():
            if kind == "task" and name.startswith("params"):
                continue  # only recorded when the task comes or goes
            if kind == "settings" and not name.startswith(("settings", "encryption")):
                continue  # a restore, which leaves no setting
            if name.split(".")[0] in _LISTS:
                members = (fields.get(name, frozenset()) - _set(before)) | _set(after)
                fields[name] = members
            else:
                fields[name] = after
        for name in [name for name, value in fields.items() if not value]:
            del fields[name]
    return {key: fields for key, fields in state.items() if fields}


def _end(state: State, domains: dict[tuple[str, int], int | None], key: tuple[str, int]) -> None:
    """An object goes, with what is in it."""
    state.pop(key, None)
    kind, object_id = key
    if kind == "domain":
        for each in [each for each, its in domains.items() if its == object_id]:
            state.pop(each, None)
    elif kind == "user":
        for each in [each for each, fields in state.items() if each[0] == "token" and _owner(fields) == object_id]:
            state.pop(each)


def _owner(token: dict[str, Any]) -> int:
    # The administrator's ID is 0, and what is empty is not kept.
    return int(token.get("owner", 0))


def _stored(connection: Any) -> State:
    state: State = {}
    for table, recorded in RECORDED.items():
        if table == "sealing" or not recorded.comes:
            continue  # stored before anything is recorded; not recorded as it comes
        columns = [*recorded.fields, *recorded.secrets]
        entry = recorded.entry or "''"
        for owner, its_entry, *values in connection.execute(
            f"SELECT coalesce({recorded.owner}, 0), {entry}, {', '.join(columns)} FROM {table}"
        ).fetchall():
            if its_entry in recorded.ignored:
                continue
            fields = state.setdefault((recorded.kind, owner), {})
            row = dict(zip(columns, values, strict=True))
            if recorded.lists is not None:
                name = recorded.lists if isinstance(recorded.lists, str) else recorded.lists[its_entry]
                fields[name] = fields.get(name, frozenset()) | _set([_member(recorded, row)])
            else:
                fields.update({name: value for name, value in _fields(recorded, str(its_entry), row) if value})
    return {key: fields for key, fields in state.items() if fields}


def _member(recorded: Recorded, row: dict[str, Any]) -> Any:
    member = {recorded.fields[column]: value for column, value in row.items() if value is not None}
    return member if len(recorded.fields) > 1 else next(iter(member.values()))


def _fields(recorded: Recorded, entry: str, row: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    prefix = "".join(f"{part}." for part in (recorded.prefix, entry) if part)
    for column, value in row.items():
        name = (prefix + str(recorded.name_of(column, is_end=False))).rstrip(".")
        if column in recorded.secrets or entry in recorded.secret_entries:
            yield name, SECRET if value else None
        else:
            for field, (_, after) in _inside(name, None, _shown(recorded, column, value)):
                yield field, after


_LISTS = {
    name
    for recorded in RECORDED.values()
    if recorded.lists
    for name in ([recorded.lists] if isinstance(recorded.lists, str) else recorded.lists.values())
}


def _set(members: list[Any]) -> frozenset[bytes]:
    return frozenset(orjson.dumps(member, option=orjson.OPT_SORT_KEYS) for member in members)


def _is_cut(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) > LONGEST_TEXT
    return isinstance(value, frozenset | list) and (
        len(value) > MOST_MEMBERS or any(len(member) > LONGEST_TEXT for member in value)
    )
