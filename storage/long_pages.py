"""Lists of users of any length, in pieces, so that their length does not matter for the memory that they take.

One statement chooses the users, as of one moment: their IDs, a few bytes each, are kept until the last piece is made.
Then the documents are made, piece by piece, as the client takes them. So nobody is shown twice, nobody who exists all
the time is left out, and each is shown as stored when their piece is made; who is deleted meanwhile is left out.
"""

import re
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from postroom.schemas.values.queries import UserQuery
from postroom.storage.database import Database
from postroom.storage.faults import LargeAnswerError
from postroom.storage.searches import fetch_row
from postroom.storage.spelling import NUMBERS, pair
from postroom.storage.user_list import IN_ORDER, document_of, ids_statement

#: Users in one list: their IDs take 8 bytes each, up to 11.
MOST_USERS: Final = 5_000_000
#: Users in one piece: of those with a few short fields, and of those with properties and lists.
_SHORT, _LONG = 1000, 100

#: The IDs of a piece, in order: a JSON array.
_PAGE = pair(
    "json_each(?) page",
    """(SELECT CAST(value AS bigint) AS value, place
          FROM json_array_elements_text(CAST(? AS json)) WITH ORDINALITY AS ids (value, place)) page""",
)


@dataclass(frozen=True, slots=True)
class LongPage:
    """The users of a list, in order."""

    database: Database
    caller: object
    #: The JSON of the response up to the first user.
    head: str
    #: Joined with commas.
    ids: str
    #: SQL for the JSON of a user `u`, and its values.
    document: str
    params: Sequence[object]
    #: Users in a piece.
    most: int

    @property
    def is_one_piece(self) -> bool:
        """Whether pieces() has just one."""
        return self.ids.count(",") < self.most

    async def pieces(self) -> AsyncGenerator[bytes]:
        """The JSON of the response; each piece is one short search of the caller. Raises SearchError."""
        sql = f"""
            SELECT CAST(group_concat(document) AS BLOB)
              FROM (SELECT {self.document} AS document
                      FROM {_PAGE} CROSS JOIN users u ON u.id = page.value {IN_ORDER}) d"""
        ahead, comma = self.head.encode(), b""
        with self.database.held.hold(self.caller, len(self.ids)):
            for ids, is_last in _cut(self.ids, self.most):
                documents = await self.database.search(self.caller, sql, [*self.params, f"[{ids}]"])
                if documents is not None:
                    ahead += comma + documents
                    comma = b","
                yield ahead + b"]}" if is_last else ahead
                ahead = b""


async def select_long_page(
    database: Database, domain_id: int | None, query: UserQuery, *, caller: object
) -> LongPage | None:
    """The users whom a query finds; None when there is no such domain. Without a domain, of all domains.

    Raises SearchError.
    """
    query = replace(query, limit=min(query.limit, MOST_USERS + 1))
    row = await database.search(caller, *ids_statement(domain_id, query, database.matching), fetch=fetch_row)
    if row is None:
        return None
    most = _SHORT if query.level < 2 and query.property_tags is None else _LONG
    return LongPage(database, caller, row[0], _checked(row[1]), document_of(query), query.property_tags or [], most)


async def select_usernames(database: Database, domain_ids: Iterable[int] | None, *, caller: object) -> LongPage:
    """The response `{"data": [{"username"}, ...]}`, sorted by name, for these domains or (None) all.

    Raises SearchError.
    """
    condition, params = "id > 0", []  # all but the administrator; the index of the names alone answers that
    if domain_ids is not None:
        # One parameter for any number of domains.
        condition, params = f"domain_id IN {NUMBERS}", [str(sorted(domain_ids))]
    sql = f"""
        SELECT group_concat(id)
          FROM (SELECT id FROM users WHERE {condition} ORDER BY username LIMIT ?) chosen"""
    ids = await database.search(caller, sql, [*params, MOST_USERS + 1])
    shown = "json_object('username', u.username)"
    return LongPage(database, caller, '{"data":[', _checked(ids), shown, [], _SHORT)


def _checked(ids: str | None) -> str:
    """The IDs. Raises LargeAnswerError when they are too many."""
    if ids is not None and ids.count(",") >= MOST_USERS:
        raise LargeAnswerError("This is too much for one answer; ask for fewer entries at a time")
    return ids or ""


def _cut(ids: str, most: int) -> Iterator[tuple[str, bool]]:
    """Pieces of so many IDs, and whether it is the last; one empty piece of none."""
    for found in re.finditer(rf"\d+(?:,\d+){{0,{most - 1}}}", ids):
        yield found[0], found.end() == len(ids)
    if not ids:
        yield "", True
