"""Pages of users that begin at a cursor: an ID, whether there is such a user or not.

The users are in the order of their IDs, so the page is looked for from the cursor on, and nobody whom it skips is read.
"""

from typing import NamedTuple

from postroom.schemas.values.queries import Cursor, UserQuery
from postroom.storage import user_search
from postroom.storage.engine import Matching
from postroom.storage.pieces import Sql, union
from postroom.storage.user_filters import found_by


class Near(NamedTuple):
    """Pieces of the statement for such a page."""

    #: WITH `near`: the IDs of the page and one more, the nearest to the cursor first.
    first: Sql
    #: The member `nextAfter` or `nextBefore` with its comma if there is one more, otherwise an empty text.
    further: Sql
    #: The IDs of the page in their order.
    page: Sql


def near(domain_id: int | None, query: UserQuery, cursor: Cursor, matching: Matching) -> Near:
    """The page of a query at its cursor. The query is sorted by ID, if at all."""
    is_descending = bool(query.sort) and query.sort[0][1]
    # In descending order, the lower IDs come after it.
    is_above = cursor.is_after is not is_descending
    at = min(cursor.id, user_search.ID_BITS)
    span = (at + 1, user_search.ID_BITS) if is_above else (1, at - 1)
    users = union(found_by(domain_id, query, matching, span) or [_everybody(domain_id, span)])
    nearest, order = _direction(not is_above), _direction(is_descending)
    return Near(
        Sql(
            f"WITH near (id) AS MATERIALIZED ({users.text} ORDER BY 1 {nearest} LIMIT ?)",
            (*users.params, query.limit + 1),
        ),
        _further("nextAfter" if cursor.is_after else "nextBefore", nearest, query.limit),
        Sql(
            f"SELECT id FROM (SELECT id FROM near ORDER BY id {nearest} LIMIT ?) n ORDER BY id {order}", (query.limit,)
        ),
    )


def _further(name: str, nearest: str, limit: int) -> Sql:
    if limit == 0:
        return Sql("''")
    last = f"""SELECT id & {user_search.ID_BITS} FROM near WHERE (SELECT count(*) FROM near) > ?
                ORDER BY id {nearest} LIMIT 1 OFFSET ?"""
    return Sql(f"""coalesce(',"{name}":' || ({last}), '')""", (limit, limit - 1))


def _everybody(domain_id: int | None, span: tuple[int, int]) -> Sql:
    if domain_id is None:
        return Sql("SELECT u.id AS id FROM users u WHERE u.id BETWEEN ? AND ?", span)
    users = "SELECT u.id AS id FROM users u INDEXED BY users_by_domain WHERE u.domain_id = ? AND u.id BETWEEN ? AND ?"
    return Sql(users, (domain_id, *span))


def _direction(is_descending: bool) -> str:
    return "DESC" if is_descending else "ASC"
