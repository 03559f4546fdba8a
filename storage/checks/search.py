"""Checks of the search index, and how its rows are made anew."""

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

from postroom.storage.checks.findings import Check, State, rows
from postroom.storage.checks.repairs import Store
from postroom.storage.engine import Connection
from postroom.storage.spelling import NUMBERS
from postroom.storage.user_search import ID_BITS, ROW_ID

GROUP: Final = "Search"
#: Rows that are made anew in one transaction.
_BATCH: Final = 1000

#: Finds the IDs of the rows that are not what they should be.
FindRows = Callable[[Any], Iterator[int]]


def checks(find_rows: FindRows, empty: Callable[[Any], object]) -> tuple[Check[Connection], ...]:
    """The checks, with an engine's ways to find wrong rows, and to delete all rows of an index that may be damaged."""

    def find(connection: Connection) -> Iterator[str]:
        for row_id in find_rows(connection):
            yield f"user {row_id & ID_BITS}"

    def remake(store: Store) -> None:
        for some in _batches(store.read(lambda connection: list(find_rows(connection)))):
            store.write(_remake, some)
        if store.read(lambda connection: next(find_rows(connection), None)) is not None:
            # The index has what it could not delete row by row.
            rebuild(store, empty)

    return (
        Check(
            GROUP,
            "search index",
            promise="Searches find what is stored",
            fault="users whom searches do not find as they are",
            find=find,
            advice="--repair makes their rows of the index anew",
            repair=remake,
        ),
        _DUE,
    )


def rebuild(store: Store, empty: Callable[[Any], object]) -> None:
    """Deletes everything in the index, and makes the rows of all users anew, some at a time."""
    store.write(empty)
    for some in _batches(store.read(_list_row_ids)):
        store.write(_remake, some)


def _remake(connection: Connection, row_ids: list[int]) -> None:
    """Deletes rows of the index; those of users are made anew before the commit."""
    text = json.dumps(row_ids)
    connection.execute(f"DELETE FROM user_search WHERE rowid IN {NUMBERS}", (text,))
    connection.execute(
        f"""
        INSERT INTO search_due (user_id)
        SELECT u.id FROM users u WHERE {ROW_ID} IN {NUMBERS} AND u.id NOT IN (SELECT user_id FROM search_due)
        """,
        (text,),
    )


def _list_row_ids(connection: Connection) -> list[int]:
    sql = f"SELECT {ROW_ID} FROM users u WHERE u.domain_id IS NOT NULL ORDER BY u.domain_id, u.id"
    return [row_id for (row_id,) in connection.execute(sql)]


def _batches(row_ids: list[int]) -> Iterator[list[int]]:
    rest = iter(row_ids)
    while some := list(islice(rest, _BATCH)):
        yield some


_DUE: Final = Check(
    GROUP,
    "search rows due",
    promise="No row of the search index waits to be made",
    fault="users whose row waits, because another program has changed them",
    find=rows("SELECT 'user ' || user_id FROM search_due"),
    advice="--repair makes them; so does the next change by the service",
    state=State.WARNING,
    repair=lambda store: store.write(lambda _connection: None),
)
