"""Notes what is changed, on SQLite: temporary triggers of the connection that writes, for each table in RECORDED.

They belong to the connection and not to the file, so what they say follows the program and not the schema. What they
note is in memory, and goes when the savepoint or the transaction is undone in which it was noted.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from postroom.storage.audit.recorded import SECRET, Recorded
from postroom.storage.audit.tables import RECORDED
from postroom.storage.sealed import Connection

#: One row for each row that was changed: by which write of those that share a transaction; of which table, of which
#: object, which of several rows; "I", "U" or "D"; and a JSON object, column -> [before, after].
_CHANGES: Final = """
    CREATE TEMP TABLE audit_changes (
        seq     INTEGER PRIMARY KEY,
        job     INTEGER NOT NULL,
        place   TEXT NOT NULL,
        kind    TEXT NOT NULL,
        object_id INTEGER NOT NULL,
        entry   TEXT NOT NULL,
        action  TEXT NOT NULL,
        changes TEXT NOT NULL
    )
"""

#: Table whose rows others go with -> the column of those others that says with which.
_PARENTS: Final = {"domains": "domain_id", "users": "user_id", "roles": "role_id", "api_tokens": "token_id"}


def capture(connection: Connection) -> None:
    """From now on notes what this connection changes."""
    connection.create_function("current_job", 0, lambda: connection.job)
    connection.execute("PRAGMA temp_store = MEMORY").fetchall()
    connection.execute(_CHANGES)
    for table, recorded in RECORDED.items():
        for trigger in _triggers(table, recorded):
            connection.execute(trigger)


def _triggers(table: str, recorded: Recorded) -> Iterator[str]:
    if recorded.comes:
        yield _trigger(
            table, recorded, "INSERT", "new", _object(_ended(recorded, each, "new") for each in _all(recorded))
        )
    columns = [*recorded.fields, *recorded.secrets]
    if recorded.is_object:
        # It has many columns, of which a write changes one or two: each has a trigger of its own, which costs nothing
        # unless the statement sets the column.
        for column in columns:
            changes = f"json_object('{column}', {_before_and_after(recorded, column)})"
            yield _trigger(table, recorded, f"UPDATE OF {column}", "new", changes, [_differs(column)])
    else:
        different = " OR ".join(map(_differs, columns))
        changes = _object(_pair(recorded, column) for column in columns)
        yield _trigger(table, recorded, f"UPDATE OF {', '.join(columns)}", "new", changes, [f"({different})"])
    parent = recorded.parent
    is_there = [f"EXISTS (SELECT 1 FROM {parent} WHERE id = old.{_PARENTS[parent]})"] if parent else []
    ends = _object(_ended(recorded, column, "old") for column in _all(recorded))
    yield _trigger(table, recorded, "DELETE", "old", ends, is_there)


def _all(recorded: Recorded) -> list[str]:
    return [*recorded.fields, *recorded.at_ends, *recorded.secrets]


def _trigger(table: str, recorded: Recorded, event: str, row: str, changes: str, conditions: Sequence[str] = ()) -> str:
    ignored = [f"{row}.{recorded.entry} NOT IN {_texts(recorded.ignored)}"] if recorded.ignored else []
    when = f"WHEN {' AND '.join([*conditions, *ignored])}" if conditions or ignored else ""
    name = f"audit_{table}_{event.partition(',')[0].replace(' ', '_')}"
    owner = recorded.owner if recorded.owner == "0" else f"coalesce({row}.{recorded.owner}, 0)"
    entry = f"{row}.{recorded.entry}" if recorded.entry else "''"
    return f"""
        CREATE TEMP TRIGGER {name} AFTER {event} ON main.{table} {when} BEGIN
            INSERT INTO audit_changes (job, place, kind, object_id, entry, action, changes)
            VALUES (
                current_job(), '{table}', '{recorded.kind}', {owner}, {entry}, '{event[0]}', {changes}
            );
        END
    """


def _object(members: Iterable[str]) -> str:
    """SQL for a JSON object of members that each have a comma, or are nothing."""
    return f"'{{' || rtrim({' || '.join(members)}, ',') || '}}'"


def _differs(column: str) -> str:
    return f"old.{column} IS NOT new.{column}"


def _before_and_after(recorded: Recorded, column: str) -> str:
    return f"json_array({_value(recorded, column, 'old')}, {_value(recorded, column, 'new')})"


def _pair(recorded: Recorded, column: str) -> str:
    """SQL for the member of a column that has changed, with a comma; otherwise for nothing."""
    return f"iif({_differs(column)}, '\"{column}\":' || {_before_and_after(recorded, column)} || ',', '')"


def _ended(recorded: Recorded, column: str, row: str) -> str:
    """The same of a row that comes (`new`) or goes (`old`). Of an object, what is empty is left out."""
    value = _value(recorded, column, row)
    pair = f"NULL, {value}" if row == "new" else f"{value}, NULL"
    is_set = f"{row}.{column} NOT IN ('', 0, '[]')" if recorded.is_object else f"{row}.{column} IS NOT NULL"
    return f"iif({is_set}, '\"{column}\":' || json_array({pair}) || ',', '')"


def _value(recorded: Recorded, column: str, row: str) -> str:
    secret = f"iif({row}.{column} <> '', '{SECRET}', NULL)"
    if column in recorded.secrets:
        return secret
    if recorded.secret_entries:
        return f"iif({row}.{recorded.entry} IN {_texts(recorded.secret_entries)}, {secret}, {row}.{column})"
    return f"{row}.{column}"


def _texts(texts: Iterable[str]) -> str:
    quoted = [f"'{text}'" for text in sorted(texts)]
    return f"({', '.join(quoted)})"
