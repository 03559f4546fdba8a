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
| `filterProp` | `properties_by_value` | counted in the index |
| `status` | `users_by_status` | kept in `domains`, or counted in the index |

The first of the last four that a query has finds users, the others are conditions on each of them
(`user_filters.py`). If the users found are to be in another order than that of IDs, the page is looked for along the
index of that order, and if that does not fill it soon, all who are found are sorted. Whatever has no row above
(privileges, binary properties, properties of the users of all domains) is sorted in memory.
"""

from collections.abc import Sequence

from postroom.schemas.values.queries import UserQuery
from postroom.schemas.values.users import STATUSES
from postroom.storage import user_search
from postroom.storage.database import Database
from postroom.storage.engine import Matching
from postroom.storage.lists import MOST
from postroom.storage.searches import gathered
from postroom.storage.spelling import pair
from postroom.storage.user_documents import FLAG_COLUMNS, document
from postroom.storage.user_filters import Sql, found_by, has_index, params_of
from postroom.storage.user_first_pages import is_plain, plain_statement

#: Field -> its column.
SORT_COLUMNS = {"ID": "id", "username": "username", "domainID": "domain_id", "status": "status", **FLAG_COLUMNS}
#: Sort field -> the index that has the users of a domain in that order.
_SORT_INDEXES: dict[str | int, str] = {"username": "users_by_name", "status": "users_by_status"}

#: The counts in `domains`: column -> what it counts.
_KEPT_COUNTS = {"active_users": {0}, "inactive_users": {1, 2, 3}, "virtual_users": {4, 5}}

#: SQLite makes the documents in the order of the page; PostgreSQL has to be told.
_PAGE = pair("( /* page */", "(SELECT row_number() OVER () AS place, id FROM (")
_NUMBERED = pair("/* page */ ) page", ") unnumbered) page")
_IN_ORDER = pair("/* in order */", "ORDER BY page.place")
_AS_MANY = pair("LIMIT (SELECT count(*) FROM found)", "LIMIT 0")  # PostgreSQL sorts all who are found


#: (field or property tag, descending)
SortKey = tuple[str | int, bool]


def list_statement(
    domain_id: int | None, query: UserQuery, matching: Matching = user_search.matching
) -> tuple[str, list[object]]:
    """The statement for a page of a domain: a row with the JSON of the response, or no row if there is no such domain.

    Without a domain, the statement for a page of all users. The administrator is in no list.
    """
    if domain_id is not None and is_plain(query):
        return plain_statement(query.level), [domain_id, query.limit, query.offset, domain_id]
    found, sort = found_by(domain_id, query, matching), _sort_keys(domain_id, query)
    first = Sql("")
    if not found:
        count, page = _count(domain_id, query, found), _page_of_all(domain_id, query, sort)
    elif not sort or sort[0][0] == "ID":
        count, page = _count(domain_id, query, found), _page_by_id(query, found, descending=bool(sort) and sort[0][1])
    else:
        parts = " UNION ALL ".join(part.text for part in found)
        first = Sql(
            f"WITH found (id) AS MATERIALIZED (SELECT id & {user_search.ID_BITS} FROM ({parts}))", params_of(*found)
        )
        count, page = Sql("SELECT count(*) FROM found"), _page_of_found(domain_id, query, sort)
    user = document(query.level, None if query.property_tags is None else len(query.property_tags))
    home, home_params = ("", []) if domain_id is None else ("FROM domains WHERE id = ?", [domain_id])
    # Here and below, CROSS JOIN tells SQLite to keep to this order, and INDEXED BY to use just this index.
    sql = f"""
        {first.text}
        SELECT CAST('{{"count":' || ({count.text}) || ',"data":[' || coalesce((
                   SELECT {gathered(query.limit)}
                     FROM (SELECT {user} AS document
                             FROM {_PAGE} {page.text} {_NUMBERED} CROSS JOIN users u
                               ON u.id = page.id & {user_search.ID_BITS} {_IN_ORDER})), '')
                    || ']}}' AS BLOB)
          {home}"""
    return sql, [*first.params, *count.params, *(query.property_tags or []), *page.params, *home_params]


async def select_users(database: Database, domain_id: int | None, query: UserQuery, *, caller: int) -> bytes | None:
    """The response `{"count", "data"}` as JSON; None when there is no such domain. Without a domain, for all users."""
    sql, params = list_statement(domain_id, query, database.matching)
    # A plain page takes hardly longer than a read by key. All other pages are searches.
    by_key = domain_id is not None and is_plain(query)
    page: bytes | None = await (database.fetch_by_key(sql, params) if by_key else database.search(caller, sql, params))
    return page


# The count.


def _count(domain_id: int | None, query: UserQuery, found: Sequence[Sql]) -> Sql:
    """How many users there are on all pages: kept in `domains`, or counted."""
    kept = " + ".join(_kept_counts(query))
    if kept and domain_id is not None:
        return Sql(kept)
    if kept:
        return Sql(f"SELECT coalesce(sum({kept}), 0) FROM domains")
    counts = " + ".join(f"(SELECT count(*) FROM ({part.text}))" for part in found)
    return Sql(counts, params_of(*found))


def _kept_counts(query: UserQuery) -> list[str]:
    """The columns of `domains` whose sum is the count; none if it is not kept."""
    if query.words or query.ids is not None or query.username is not None or query.org_ids is not None:
        return []
    if query.filter_tags:
        return []
    if query.status is None:
        return list(_KEPT_COUNTS)
    asked = set(query.status).intersection(STATUSES)
    columns = [column for column, statuses in _KEPT_COUNTS.items() if statuses <= asked]
    covered = set().union(*(_KEPT_COUNTS[column] for column in columns))
    return columns if covered >= asked else []


# The page: the IDs of its users, in order.


def _page_of_all(domain_id: int | None, query: UserQuery, sort: Sequence[SortKey]) -> Sql:
    """A page of all users, of a domain along the index that has them in this order."""
    if domain_id is None:
        joins, order = _order(sort)
        users = f"SELECT u.id FROM users u {joins.text} WHERE u.id > 0 ORDER BY {order} LIMIT ? OFFSET ?"
        return Sql(users, (*joins.params, query.limit, query.offset))
    if sort and has_index(sort[0][0]):
        return _page_by_property(domain_id, query, sort)
    along = _along(domain_id, sort)
    return Sql(f"{along.text} LIMIT ? OFFSET ?", (*along.params, query.limit, query.offset))


def _page_by_property(domain_id: int, query: UserQuery, sort: Sequence[SortKey]) -> Sql:
    """A page of a domain by a property: who has it along its index, and then, if there is room left, who has it not."""
    along = _along(domain_id, sort)
    joins, order = _order(sort[1:])
    end = min(query.limit + query.offset, MOST)
    return Sql(
        f"""WITH holders (number) AS MATERIALIZED (SELECT count(*) FROM (
                SELECT 1 FROM properties p INDEXED BY properties_by_value
                 WHERE p.domain_id = ? AND p.tag = ? AND p.kind <> 'binary' LIMIT ?))
            SELECT id FROM ({along.text} LIMIT ? OFFSET ?)
             UNION ALL
            SELECT id FROM (
                SELECT u.id FROM users u INDEXED BY users_by_domain {joins.text}
                 WHERE u.domain_id = ?
                   AND NOT EXISTS (SELECT 1 FROM properties p WHERE p.user_id = u.id AND p.tag = ?)
                 ORDER BY {order}
                 LIMIT ? - max(?, (SELECT number FROM holders)) OFFSET max(0, ? - (SELECT number FROM holders)))""",
        (
            *(domain_id, sort[0][0], end),
            *(*along.params, query.limit, query.offset),
            *(*joins.params, domain_id, sort[0][0], end, query.offset, query.offset),
        ),
    )


def _page_by_id(query: UserQuery, found: Sequence[Sql], *, descending: bool) -> Sql:
    """A page of those whom the query finds, by ID: the parts are merged, up to the end of the page."""
    parts = " UNION ALL ".join(part.text for part in found)
    direction = "DESC" if descending else "ASC"
    return Sql(f"{parts} ORDER BY 1 {direction} LIMIT ? OFFSET ?", (*params_of(*found), query.limit, query.offset))


def _page_of_found(domain_id: int | None, query: UserQuery, sort: Sequence[SortKey]) -> Sql:
    """A page of the users in `found`.

    If there are many of them, the page is soon full along the index of the domain. That is tried for as many users as
    are found; if it is not enough, all who are found are sorted.
    """
    joins, order = _order(sort)
    in_order = f"SELECT u.id FROM found CROSS JOIN users u ON u.id = found.id {joins.text} ORDER BY {order}"
    if domain_id is None or not (sort[0][0] in _SORT_INDEXES or has_index(sort[0][0])):
        return Sql(f"{in_order} LIMIT ? OFFSET ?", (*joins.params, query.limit, query.offset))
    along = _along(domain_id, sort)
    end = min(query.limit + query.offset, MOST)
    return Sql(
        f"""WITH met (id) AS MATERIALIZED (
                SELECT id FROM ({along.text} {_AS_MANY})
                 WHERE id IN (SELECT id FROM found) LIMIT ?)
            SELECT id FROM (SELECT id FROM met LIMIT iif((SELECT count(*) FROM met) = ?, ?, 0) OFFSET ?)
             UNION ALL
            SELECT id FROM ({in_order} LIMIT iif((SELECT count(*) FROM met) = ?, 0, ?) OFFSET ?)""",
        (
            *(*along.params, end),
            *(end, query.limit, query.offset),
            *(*joins.params, end, query.limit, query.offset),
        ),
    )


def _along(domain_id: int, sort: Sequence[SortKey]) -> Sql:
    """SELECT of the users of a domain in this order, along the index of the first key. By a property: who has it."""
    if sort and has_index(sort[0][0]):
        joins, order = _order(sort[1:])
        direction = "DESC" if sort[0][1] else "ASC"
        users = f"CROSS JOIN users u ON u.id = p.user_id {joins.text}" if len(sort) > 1 else ""
        return Sql(
            f"""SELECT p.user_id AS id FROM properties p INDEXED BY properties_by_value {users}
                 WHERE p.domain_id = ? AND p.tag = ? AND p.kind <> 'binary'
                 ORDER BY p.number {direction}, p.folded {direction}, {order if users else "p.user_id"}""",
            (*joins.params, domain_id, sort[0][0]),
        )
    joins, order = _order(sort)
    index = _SORT_INDEXES.get(sort[0][0] if sort else "ID", "users_by_domain")
    return Sql(
        f"SELECT u.id FROM users u INDEXED BY {index} {joins.text} WHERE u.domain_id = ? ORDER BY {order}",
        (*joins.params, domain_id),
    )


def _sort_keys(domain_id: int | None, query: UserQuery) -> list[SortKey]:
    """The sort keys up to one that no two users share. The users of a domain have the same domain."""
    keys: list[SortKey] = []
    for key, descending in query.sort:
        if key == "domainID" and domain_id is not None:
            continue
        keys.append((key, descending))
        if key in ("ID", "username"):
            break
    return keys


def _order(sort: Sequence[SortKey]) -> tuple[Sql, str]:
    """The joins that sort keys need, and the terms of ORDER BY. Users without a property come last."""
    joins: list[str] = []
    order: list[str] = []
    params: list[object] = []
    for number, (key, descending) in enumerate(sort):
        direction = " DESC" if descending else ""
        if isinstance(key, str):
            order.append(f"u.{SORT_COLUMNS[key]}{direction}")
            continue
        by = f"s{number}"
        joins.append(f"LEFT JOIN properties {by} ON {by}.user_id = u.id AND {by}.tag = ?")
        params.append(key)
        order += [f"{by}.id IS NULL", f"{by}.number{direction}", f"{by}.folded{direction}"]
    if not any(key == "ID" for key, _ in sort):
        order.append("u.id")
    return Sql(" ".join(joins), tuple(params)), ", ".join(order)
