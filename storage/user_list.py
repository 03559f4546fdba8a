"""Pages of users, each with a single statement.

A statement has two steps. The first chooses the IDs of the page, along an index that begins with the domain and stops
after the page; the second makes the documents of these users only. Which index that is:

| asked for | first step | count |
|---|---|---|
| nothing in particular | `users_by_domain` (a short page near the beginning: in one step) | kept in `domains` |
| sorted by username, status | `users_by_name`, `users_by_status` | kept in `domains` |
| sorted by a property | `properties_by_value`, then the users without it | kept in `domains` |
| `username`, `ID` | the key | the users found |
| `match` | `user_search` | counted in the index |
| `filterProp` | `properties_by_value` | of displaytypeex kept in `display_type_counts`, else counted in the index |
| `status` | `users_by_status` | kept in `domains`, or counted in the index |
| from a cursor on | the same, from there on (`user_cursors.py`) | the same |

The first of `match`, `filterProp` and `status` that a query has finds users, the others are conditions on each of them
(`user_filters.py`; those that nearly everybody passes: `user_exceptions.py`). If the users found are to be in another
order than that of IDs, the page is looked for along the index of that order, and if that does not fill it soon, all who
are found are sorted. Whatever has no row above (privileges, binary properties, properties of the users of all domains)
is sorted in memory.
"""

from collections.abc import Sequence
from typing import NamedTuple

from postroom.schemas.values.queries import UserQuery
from postroom.storage import user_search
from postroom.storage.database import Database
from postroom.storage.engine import Matching
from postroom.storage.lists import MOST
from postroom.storage.pieces import Sql, params_of, together, union
from postroom.storage.spelling import pair
from postroom.storage.user_counts import counted, kept_count
from postroom.storage.user_cursors import near
from postroom.storage.user_documents import document
from postroom.storage.user_filters import found_by, has_index, of_filters
from postroom.storage.user_first_pages import is_plain, plain_statement
from postroom.storage.user_orders import SortKey, along, is_indexed, order, sort_keys

#: SQLite makes the documents in the order of the page; PostgreSQL has to be told.
_PAGE = pair("( /* page */", "(SELECT row_number() OVER () AS place, id FROM (")
_NUMBERED = pair("/* page */ ) page", ") unnumbered) page")
IN_ORDER = pair("/* in order */", "ORDER BY page.place")
_AS_MANY = pair("LIMIT (SELECT count(*) FROM found)", "LIMIT 0")  # PostgreSQL sorts all who are found


class _Choice(NamedTuple):
    """Whom a page shows."""

    #: WITH, or nothing.
    first: Sql
    #: The beginning of the response, up to the list of the users.
    head: Sql
    #: The IDs of the users, in order. They may have the domain in front (`user_search`).
    page: Sql


def list_statement(
    domain_id: int | None, query: UserQuery, matching: Matching = user_search.matching
) -> tuple[str, list[object]]:
    """The statement for a page of a domain: a row with the JSON of the response, or no row if there is no such domain.

    Without a domain, the statement for a page of all users. The administrator is in no list.
    """
    if domain_id is not None and is_plain(query):
        return plain_statement(query.level), [domain_id, query.limit, query.offset, domain_id]
    first, head, page = _choose(domain_id, query, matching)
    home = _home(domain_id)
    # Here and below, CROSS JOIN tells SQLite to keep to this order, and INDEXED BY to use just this index.
    sql = f"""
        {first.text}
        SELECT CAST({head.text} || coalesce((
                   SELECT group_concat(document)
                     FROM (SELECT {document_of(query)} AS document
                             FROM {_PAGE} {page.text} {_NUMBERED} CROSS JOIN users u
                               ON u.id = page.id & {user_search.ID_BITS} {IN_ORDER})), '')
                    || ']}}' AS BLOB)
          {home.text}"""
    return sql, [*first.params, *head.params, *(query.property_tags or []), *page.params, *home.params]


def ids_statement(domain_id: int | None, query: UserQuery, matching: Matching) -> tuple[str, list[object]]:
    """The statement for a page of any length: a row with the beginning of the response, up to the list of the users,
    and the IDs of these users in order, joined with commas (null for none).
    """
    first, head, page = _choose(domain_id, query, matching)
    home = _home(domain_id)
    ids = f"SELECT group_concat(page.id & {user_search.ID_BITS}) FROM ({page.text}) page"
    sql = f"{first.text} SELECT {head.text}, ({ids}) {home.text}"
    return sql, [*first.params, *head.params, *page.params, *home.params]


def document_of(query: UserQuery) -> str:
    """SQL for the document of a user as the query wants it; the tags of its properties have to be bound there."""
    return document(query.level, None if query.property_tags is None else len(query.property_tags))


def _home(domain_id: int | None) -> Sql:
    return Sql("") if domain_id is None else Sql("FROM domains WHERE id = ?", (domain_id,))


def _choose(domain_id: int | None, query: UserQuery, matching: Matching) -> _Choice:
    found, sort = found_by(domain_id, query, matching), sort_keys(domain_id, query)
    kept = kept_count(domain_id, query)
    first, further = Sql(""), Sql("''")
    if query.cursor is not None:
        first, further, page = near(domain_id, query, query.cursor, matching)
    elif not found:
        page = _page_of_all(domain_id, query, sort)
    elif not sort or sort[0][0] == "ID":
        page = _page_by_id(query, found, descending=bool(sort) and sort[0][1])
    else:
        users = union(found)
        ids = f"SELECT id & {user_search.ID_BITS} FROM ({users.text}) f"
        first = Sql(f"WITH found (id) AS MATERIALIZED ({ids})", users.params)
        page = _page_of_found(domain_id, query, sort, kept)
        kept = kept or Sql("SELECT count(*) FROM found")
    count = kept or counted(found)
    head = f"""'{{"count":' || ({count.text}) || {further.text} || ',"data":['"""
    return _Choice(first, Sql(head, params_of(count, further)), page)


async def select_users(database: Database, domain_id: int | None, query: UserQuery, *, caller: int) -> bytes | None:
    """The response `{"count", "data"}` as JSON; None when there is no such domain. Without a domain, for all users."""
    sql, params = list_statement(domain_id, query, database.matching)
    # A plain page takes hardly longer than a read by key. All other pages are searches.
    by_key = domain_id is not None and is_plain(query)
    page: bytes | None = await (database.fetch_by_key(sql, params) if by_key else database.search(caller, sql, params))
    return page


# The page: the IDs of its users, in order.


def _page_of_all(domain_id: int | None, query: UserQuery, sort: Sequence[SortKey]) -> Sql:
    """A page of all users, of a domain along the index that has them in this order."""
    if domain_id is None:
        joins, terms = order(sort)
        users = f"SELECT u.id FROM users u {joins.text} WHERE u.id > 0 ORDER BY {terms} LIMIT ? OFFSET ?"
        return Sql(users, (*joins.params, query.limit, query.offset))
    if sort and has_index(sort[0][0]):
        return _page_by_property(domain_id, query, sort)
    in_order_of = along(domain_id, sort)
    return Sql(f"{in_order_of.text} LIMIT ? OFFSET ?", (*in_order_of.params, query.limit, query.offset))


def _page_by_property(domain_id: int, query: UserQuery, sort: Sequence[SortKey]) -> Sql:
    """A page of a domain by a property: who has it along its index, and then, if there is room left, who has it not."""
    in_order_of = along(domain_id, sort)
    joins, terms = order(sort[1:])
    end = min(query.limit + query.offset, MOST)
    return Sql(
        f"""WITH holders (number) AS MATERIALIZED (SELECT count(*) FROM (
                SELECT 1 FROM properties p INDEXED BY properties_by_value
                 WHERE p.domain_id = ? AND p.tag = ? AND p.kind <> 'binary' LIMIT ?))
            SELECT id FROM ({in_order_of.text} LIMIT ? OFFSET ?)
             UNION ALL
            SELECT id FROM (
                SELECT u.id FROM users u INDEXED BY users_by_domain {joins.text}
                 WHERE u.domain_id = ?
                   AND NOT EXISTS (SELECT 1 FROM properties p WHERE p.user_id = u.id AND p.tag = ?)
                 ORDER BY {terms}
                 LIMIT ? - max(?, (SELECT number FROM holders)) OFFSET max(0, ? - (SELECT number FROM holders)))""",
        (
            *(domain_id, sort[0][0], end),
            *(*in_order_of.params, query.limit, query.offset),
            *(*joins.params, domain_id, sort[0][0], end, query.offset, query.offset),
        ),
    )


def _page_by_id(query: UserQuery, found: Sequence[Sql], *, descending: bool) -> Sql:
    """A page of those whom the query finds, by ID: the parts are merged, up to the end of the page."""
    users, direction = union(found), "DESC" if descending else "ASC"
    return Sql(f"{users.text} ORDER BY 1 {direction} LIMIT ? OFFSET ?", (*users.params, query.limit, query.offset))


def _page_of_found(domain_id: int | None, query: UserQuery, sort: Sequence[SortKey], kept: Sql | None) -> Sql:
    """A page of the users in `found`, whose number may be kept.

    If there are many of them, the page is soon full along the index of the domain. That is tried for as many users as
    are found; if it is not enough, all who are found are sorted. Where their number is kept, they need not be found for
    that.
    """
    joins, terms = order(sort)
    in_order = f"SELECT u.id FROM found CROSS JOIN users u ON u.id = found.id {joins.text} ORDER BY {terms}"
    if domain_id is None or not is_indexed(sort[0][0]):
        return Sql(f"{in_order} LIMIT ? OFFSET ?", (*joins.params, query.limit, query.offset))
    in_order_of = along(domain_id, sort)
    end = min(query.limit + query.offset, MOST)
    most, is_found = Sql(_AS_MANY), Sql("ordered.id IN (SELECT id FROM found)")
    if kept is not None:
        most = Sql(f"LIMIT CAST(({kept.text}) AS INTEGER)", kept.params)
        is_found = together(of_filters(query, "ordered.id"))
    return Sql(
        f"""WITH met (id) AS MATERIALIZED (
                SELECT ordered.id FROM ({in_order_of.text} {most.text}) ordered
                 WHERE {is_found.text} LIMIT ?)
            SELECT id FROM (SELECT id FROM met LIMIT iif((SELECT count(*) FROM met) = ?, ?, 0) OFFSET ?)
             UNION ALL
            SELECT id FROM ({in_order} LIMIT iif((SELECT count(*) FROM met) = ?, 0, ?) OFFSET ?)""",
        (
            *(*in_order_of.params, *most.params, *is_found.params, end),
            *(end, query.limit, query.offset),
            *(*joins.params, end, query.limit, query.offset),
        ),
    )
