"""What has happened to an object, from what was noted of its rows."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from postroom.storage.audit.recorded import SECRET, Recorded
from postroom.storage.audit.tables import OBJECTS, RECORDED

#: At the ends of an object, what is empty says nothing.
_EMPTY: Final = ("", 0, "[]")
#: The same inside a document.
_NOTHING: Final[tuple[object, ...]] = (None, "", 0, [], {})


#: Object's table -> column -> name in the API, and whether it is true or false: of the columns with plain values.
_PLAIN: Final = {
    table: {
        column: (name, column in RECORDED[table].flags)
        for column, name in RECORDED[table].fields.items()
        if column not in RECORDED[table].documents
    }
    for table in OBJECTS
}


class Noted(NamedTuple):
    """A change of a row: see capture.py. Name and domain are those of the object now; without a name it is gone."""

    seq: int
    job: int
    table: str
    kind: str
    object_id: int
    entry: str
    #: "I", "U" or "D".
    action: str
    #: Column -> [before, after].
    changes: Mapping[str, Sequence[Any]]
    name: str | None
    domain_id: int | None


def changes_of(parts: Sequence[Noted]) -> dict[str, list[Any]]:
    """Field -> [before, after], for those that differ; of a list, the members that went and those that came."""
    simple = _simple(parts)
    if simple is not None:
        return simple
    fields: dict[str, list[Any]] = {}
    lists: dict[str, dict[bytes, int]] = {}
    for part in parts:
        recorded, changes = RECORDED[part.table], part.changes
        if part.entry in recorded.ignored:
            continue
        if recorded.lists is None:
            for name, before, after in _fields(recorded, part, changes):
                fields.setdefault(name, [before, after])[1] = after
        else:
            name = recorded.lists if isinstance(recorded.lists, str) else recorded.lists[part.entry]
            _count(lists.setdefault(name, {}), recorded, changes)
    different: dict[str, list[Any]] = {}
    for name, (before, after) in fields.items():
        different.update(_inside(name, before, after))
    for name, members in lists.items():
        went = [orjson.loads(member) for member, count in members.items() if count < 0]
        came = [orjson.loads(member) for member, count in members.items() if count > 0]
        if went or came:
            different[name] = [went, came]
    return different


def _simple(parts: Sequence[Noted]) -> dict[str, list[Any]] | None:
    """The same for an object of which only plain values were changed, each once: most writes are no more than that."""
    simple: dict[str, list[Any]] = {}
    for part in parts:
        plain = _PLAIN.get(part.table)
        if plain is None or part.action != "U":
            return None
        for column, (before, after) in part.changes.items():
            name, is_flag = plain.get(column, ("", False))
            if not name or name in simple:
                return None
            simple[name] = [before != 0, after != 0] if is_flag else [before, after]
    return simple


def _fields(recorded: Recorded, part: Noted, changes: Mapping[str, Sequence[Any]]) -> Iterator[tuple[str, Any, Any]]:
    is_end = part.action != "U"
    empty = _EMPTY if is_end and recorded.is_object else ()
    prefix = "".join(f"{each}." for each in (recorded.prefix, part.entry) if each)
    for column, (before, after) in changes.items():
        name = recorded.name_of(column, is_end=is_end)
        if name is not None and before not in empty and after not in empty:
            pair = _shown(recorded, column, before), _shown(recorded, column, after)
            yield (prefix + name).rstrip("."), *(map(_without_empty, pair) if empty else pair)


def _shown(recorded: Recorded, column: str, value: Any) -> Any:
    if value is None:
        return None
    if column in recorded.flags:
        return bool(value)
    return orjson.loads(value) if column in recorded.documents else value


def _without_empty(value: Any) -> Any:
    """A document without its empty members."""
    if not isinstance(value, dict):
        return value
    return {name: kept for name, each in value.items() if (kept := _without_empty(each)) not in _NOTHING}


def _count(members: dict[bytes, int], recorded: Recorded, changes: Mapping[str, Sequence[Any]]) -> None:
    for place, more in ((0, -1), (1, 1)):
        values = {
            recorded.fields[column]: pair[place]
            for column, pair in changes.items()
            if column in recorded.fields and pair[place] is not None
        }
        if values:
            member = orjson.dumps(values if len(recorded.fields) > 1 else next(iter(values.values())))
            members[member] = members.get(member, 0) + more


def _inside(name: str, before: Any, after: Any) -> Iterator[tuple[str, list[Any]]]:
    """The field if it differs; of a document, its members that differ."""
    if before == after and before != SECRET:
        return
    if not all(isinstance(value, dict) for value in (before, after) if value is not None):
        yield name, [before, after]
        return
    before, after = before or {}, after or {}
    for key in before | after:
        yield from _inside(f"{name}.{key}", before.get(key), after.get(key))
