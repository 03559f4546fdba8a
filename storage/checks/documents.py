"""Checks of texts that hold something else: documents, times, values of properties."""

import json
from collections.abc import Iterator
from datetime import date, datetime
from typing import Final

from postroom.schemas.values.proptags import Kind, find
from postroom.schemas.values.text import fold
from postroom.storage.checks.findings import Check, State
from postroom.storage.checks.repairs import in_one
from postroom.storage.engine import Connection

_GROUP: Final = "Values"

#: Columns with a JSON document: table, what names a row, column, condition, and the types that it may have.
_DOCUMENTS: Final = (
    ("domains", "domainname", "sync_policy", "TRUE", dict),
    ("domains", "domainname", "disabled_plugins", "TRUE", list),
    ("domains", "domainname", "self_service", "TRUE", list),
    ("users", "username", "sync_policy", "TRUE", dict),
    ("create_defaults", "id", "document", "TRUE", dict),
    ("ldap_configs", "id", "document", "TRUE", dict),
    ("api_tokens", "id", "networks", "TRUE", list),
    ("tasks", "id", "params", "TRUE", dict),
    ("task_items", "id", "changes", "TRUE", dict),
    ("devices", "device_id", "as_version", "TRUE", (int, float, str)),
    ("properties", "id", "value", "multi = 1", list),
)
#: Columns with a time or a date: table, what names a row, column, and how many characters it has.
_TIMES: Final = (
    ("domains", "domainname", "end_day", 10),
    ("fetchmail", "id", "date", 19),
    ("oof", "user_id", "start_time", 19),
    ("oof", "user_id", "end_time", 19),
    ("tasks", "id", "created", 19),
    ("tasks", "id", "updated", 19),
)
_NUMBERS: Final = "kind IN ('integer', 'boolean') AND multi = 0"
#: What is folded is folded once, whether the value is of one kind or another.
_TEXTS: Final = "kind NOT IN ('integer', 'boolean') AND multi = 0"
_LISTS: Final = "SELECT id, user_id, name, kind, value, folded FROM properties WHERE multi = 1"


def _find_broken_documents(connection: Connection) -> Iterator[str]:
    for table, name, column, condition, types in _DOCUMENTS:
        sql = f"SELECT {name}, {column} FROM {table} WHERE {column} IS NOT NULL AND {condition}"
        for row, text in connection.execute(sql):
            try:
                right = isinstance(json.loads(text), types)
            except ValueError:
                right = False
            if not right:
                yield f"{table}.{column} of {row}"


def _find_broken_times(connection: Connection) -> Iterator[str]:
    for table, name, column, length in _TIMES:
        for row, text in connection.execute(f"SELECT {name}, {column} FROM {table} WHERE {column} IS NOT NULL"):
            if not _is_time(text, length):
                yield f"{table}.{column} of {row}"


def _is_time(text: str, length: int) -> bool:
    try:
        (date if length == 10 else datetime).fromisoformat(text)
    except ValueError:
        return False
    return len(text) == length


def _find_unknown_properties(connection: Connection) -> Iterator[str]:
    for tag, name, kind, multi in connection.execute("SELECT DISTINCT tag, name, kind, multi FROM properties"):
        known = find(f"0x{tag:x}")
        if known is None or (known.name, known.kind, known.multi) != (name, kind, bool(multi)):
            yield f"{name} (0x{tag:08X}) as {kind}"


def _find_stale_copies(connection: Connection) -> Iterator[str]:
    sql = f"""
        SELECT name || ' of user ' || user_id FROM properties
         WHERE {_NUMBERS} AND number IS DISTINCT FROM CAST(value AS INTEGER)
            OR {_TEXTS} AND folded IS DISTINCT FROM fold(CAST(value AS TEXT))
    """
    for (text,) in connection.execute(sql):
        yield text
    for _, user_id, name, kind, value, folded in connection.execute(_LISTS):
        if folded != _folded(kind, value):
            yield f"{name} of user {user_id}"


def _copy_again(connection: Connection) -> None:
    connection.execute(
        f"UPDATE properties SET number = CAST(value AS INTEGER)"
        f" WHERE {_NUMBERS} AND number IS DISTINCT FROM CAST(value AS INTEGER)"
    )
    connection.execute(
        f"UPDATE properties SET folded = fold(CAST(value AS TEXT))"
        f" WHERE {_TEXTS} AND folded IS DISTINCT FROM fold(CAST(value AS TEXT))"
    )
    for row_id, _, _, kind, value, folded in connection.execute(_LISTS).fetchall():
        if folded != _folded(kind, value):
            connection.execute("UPDATE properties SET folded = ? WHERE id = ?", (_folded(kind, value), row_id))


def _folded(kind: str, value: str) -> str | None:
    """What is searched of a property with several values; nobody searches for numbers."""
    if kind in (Kind.INTEGER, Kind.BOOLEAN):
        return None
    try:
        return fold("\n".join(map(str, json.loads(value))))
    except (ValueError, TypeError):
        return None  # another check finds it


CHECKS: Final = (
    Check(
        _GROUP,
        "documents",
        promise="Every stored document is one",
        fault="values that should be a document, and are none",
        find=_find_broken_documents,
        advice="Store these settings again through the API, or restore a backup",
    ),
    Check(
        _GROUP,
        "times",
        promise="Every stored time is one",
        fault="values that should be a time, and are none",
        find=_find_broken_times,
        advice="Store these settings again through the API; delete such tasks",
    ),
    Check(
        _GROUP,
        "properties",
        promise="Every property has a known name, tag and kind",
        fault="properties that this version does not know",
        find=_find_unknown_properties,
        advice="Restore a backup, or remove these properties with a program of your own",
    ),
    Check(
        _GROUP,
        "forms of properties",
        promise="Properties are searched and sorted by their values",
        fault="properties that are searched or sorted by something else",
        find=_find_stale_copies,
        advice="--repair makes from the values what they are searched and sorted by",
        state=State.WARNING,
        repair=in_one(_copy_again),
    ),
)
