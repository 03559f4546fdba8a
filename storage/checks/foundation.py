"""Checks of what everything else rests on: the schema, references, IDs. Each engine finds faults in its own way."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final

from postroom.storage.checks.findings import Check, State
from postroom.storage.checks.repairs import in_one
from postroom.storage.engine import Connection
from postroom.storage.moving.tables import KEPT_IDS

#: The group of these checks, and of those that an engine has for itself.
GROUP: Final = "Database"

#: What the schema is made of, by name: what is there, and what this version makes.
Compare = Callable[[Any], tuple[dict[str, str], dict[str, str]]]
#: Of a table: the largest ID that exists, and the last one that was given.
FindIds = Callable[[Any, str], tuple[int, int]]
SetLastId = Callable[[Any, str, int], object]


def checks(
    compare: Compare,
    lost_references: Callable[[Any], Iterable[str]],
    find_ids: FindIds,
    set_last_id: SetLastId,
) -> tuple[Check[Connection], ...]:
    """The checks, with an engine's ways to find faults, and to set the last ID that was given in a table."""
    return (
        Check(
            GROUP,
            "schema",
            promise="The schema is that of this version",
            fault="differences from the schema of this version",
            find=partial(_find_differences, compare),
            advice="Something else has changed the schema. Restore a backup, or move everything into a new database "
            "(postroom move)",
        ),
        Check(
            GROUP,
            "additions",
            promise="There is nothing in the schema that postroom has not made",
            fault="additions to the schema",
            find=partial(_find_additions, compare),
            advice="Remove what you do not need: a trigger or an index slows writes down, and a later version may have "
            "something of the same name",
            state=State.WARNING,
        ),
        Check(
            GROUP,
            "references",
            promise="Every reference leads somewhere",
            fault="references that lead nowhere",
            find=lost_references,
            advice="--repair removes what belongs to nobody and is shown to nobody. For the rest, restore a backup, or "
            "give the users a domain, the domains an organisation, and the roles their permissions again",
            repair=in_one(remove_orphans),
        ),
        Check(
            GROUP,
            "IDs",
            promise="No ID comes back",
            fault="tables where the ID of something deleted may come back",
            find=partial(_find_ids_that_come_back, find_ids),
            advice="--repair lets IDs go on behind the largest one",
            repair=in_one(partial(_go_on_behind_the_largest, find_ids, set_last_id)),
        ),
    )


def _find_differences(compare: Compare, connection: Any) -> Iterator[str]:
    found, wanted = compare(connection)
    for name in sorted(wanted.keys() - found.keys()):
        yield f"{name} is missing"
    for name in sorted(wanted.keys() & found.keys()):
        if wanted[name] != found[name]:
            yield f"{name} is different"


def _find_additions(compare: Compare, connection: Any) -> Iterator[str]:
    found, wanted = compare(connection)
    yield from sorted(found.keys() - wanted.keys())


def _find_ids_that_come_back(find_ids: FindIds, connection: Any) -> Iterator[str]:
    for table in KEPT_IDS:
        largest, last = find_ids(connection, table)
        if largest > last:
            yield f"{table}: {largest} exists, and {last} was the last"


def _go_on_behind_the_largest(find_ids: FindIds, set_last_id: SetLastId, connection: Any) -> None:
    for table in KEPT_IDS:
        largest, last = find_ids(connection, table)
        if largest > last:
            set_last_id(connection, table, largest)


#: Rows that nobody sees once what they belong to has gone: table -> (column, what it belongs to).
BELONGINGS: Final = {
    "addresses": ("user_id", "users"),
    "properties": ("user_id", "users"),
    "forwards": ("user_id", "users"),
    "fetchmail": ("user_id", "users"),
    "oof": ("user_id", "users"),
    "devices": ("user_id", "users"),
    "due_resyncs": ("user_id", "users"),
    "wipe_history": ("user_id", "users"),
    "api_tokens": ("user_id", "users"),
    "api_token_permissions": ("token_id", "api_tokens"),
    "sessions": ("user_id", "users"),
    "task_items": ("task_id", "tasks"),
    "create_defaults": ("domain_id", "domains"),
    "display_type_counts": ("domain_id", "domains"),
}
#: Both sides have to be there.
PAIRS: Final = {
    "store_access": (("user_id", "users"), ("member_id", "users")),
    "user_roles": (("user_id", "users"), ("role_id", "roles")),
    "grants": (("user_id", "users"), ("member_id", "users")),
}
#: References that are only remembered: they become NULL, as when what they refer to is deleted.
REMEMBERED: Final = (
    ("tasks", "user_id", "users"),
    ("tasks", "token_id", "api_tokens"),
    ("roles", "made_for", "domains"),
)


def remove_orphans(connection: Connection) -> None:
    """Removes the rows whose user, task, role or domain is not there, if the API shows them to nobody."""
    belongings = [(table, *each) for table, each in BELONGINGS.items()]
    belongings += [(table, *each) for table, both in PAIRS.items() for each in both]
    for table, column, parent in belongings:
        connection.execute(f"DELETE FROM {table} WHERE {_leads_nowhere(column, parent)}")
    for table, column, parent in REMEMBERED:
        connection.execute(f"UPDATE {table} SET {column} = NULL WHERE {_leads_nowhere(column, parent)}")


def _leads_nowhere(column: str, parent: str) -> str:
    return f"{column} IS NOT NULL AND {column} NOT IN (SELECT id FROM {parent})"
