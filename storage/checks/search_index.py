"""Whether the search index of an SQLite file holds what is stored of each user.

The index keeps no texts, only where each token occurs. So pieces of some thousand users are compared: how many tokens
each user has in each column, and in whose rows each token occurs.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from postroom.storage.checks.snapshots import renew
from postroom.storage.user_search import ID_BITS, ROW_ID, TEXTS

#: Users who are compared at a time. Of fewer, each token would have to be looked up more often; more take more memory.
PIECE = 5000
_END: Final = 2**63 - 1

_NEXT: Final = f"""
    SELECT {ROW_ID}, {", ".join(TEXTS.values())}
      FROM users u
     WHERE (u.domain_id, u.id) > (?, ?)
     ORDER BY u.domain_id, u.id
     LIMIT ?
"""
_SIZES: Final = "SELECT id, sz FROM user_search_docsize WHERE id BETWEEN ? AND ?"
_SUMS: Final = f"""
    SELECT count(*), coalesce(sum(rowid & {ID_BITS}), 0)
      FROM user_search
     WHERE user_search MATCH ? AND rowid BETWEEN ? AND ?
"""
_ROWS: Final = "SELECT rowid FROM user_search WHERE user_search MATCH ? AND rowid BETWEEN ? AND ?"


def find_wrong_rows(connection: Any) -> Iterator[int]:
    """The IDs of the rows that are missing, left over, or not what they should be: `domain << 32` plus the user."""
    first = 0
    while True:
        rows = dict(_documents(connection, first - 1))
        last = max(rows) if len(rows) == PIECE else _END
        yield from sorted(_compared(connection, rows, first, last))
        if last == _END:
            return
        first = last + 1
        renew(connection)


def _documents(connection: Any, after: int) -> Iterator[tuple[int, list[list[str]]]]:
    """Row ID -> the tokens of each column, for the next users."""
    place = (after >> 32, after & ID_BITS) if after >= 0 else (0, 0)
    for row_id, *texts in connection.execute(_NEXT, (*place, PIECE)):
        yield row_id, [(text or "").split() for text in texts]


def _compared(connection: Any, rows: Mapping[int, list[list[str]]], first: int, last: int) -> set[int]:
    sizes = {row_id: _numbers(size) for row_id, size in connection.execute(_SIZES, (first, last))}
    wrong = sizes.keys() ^ rows.keys()
    wrong |= {row_id for row_id in sizes.keys() & rows.keys() if sizes[row_id] != [len(each) for each in rows[row_id]]}
    for number, column in enumerate(TEXTS):
        wrong |= _compared_column(
            connection, {row_id: row[number] for row_id, row in rows.items()}, column, first, last
        )
    return wrong


def _compared_column(connection: Any, rows: Mapping[int, list[str]], column: str, first: int, last: int) -> set[int]:
    """The rows of a column with a token too many or too few."""
    sums: dict[str, list[int]] = {}
    for row_id, tokens in rows.items():
        for token in set(tokens):
            found = sums.setdefault(token, [0, 0])
            found[0] += 1
            found[1] += row_id & ID_BITS
    wrong: set[int] = set()
    for token, wanted in sums.items():
        place = (f'{column}: "{token}"', first, last)
        if list(connection.execute(_SUMS, place).fetchone()) != wanted:
            there = {row_id for (row_id,) in connection.execute(_ROWS, place)}
            wrong |= there ^ {row_id for row_id, tokens in rows.items() if token in tokens}
    return wrong


def _numbers(packed: bytes) -> list[int]:
    """The numbers of FTS5's varints: seven bits a byte, the highest first; the last byte has no eighth bit."""
    numbers, number = [], 0
    for byte in packed:
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            numbers.append(number)
            number = 0
    return numbers
