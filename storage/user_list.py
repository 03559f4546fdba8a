"""Pages of users, each with a single statement."""

from collections.abc import Sequence

from postroom.schemas.values.queries import UserQuery
from postroom.schemas.values.text import fold
from postroom.storage.database import Database
from postroom.storage.searches import gathered
from postroom.storage.user_documents import FLAG_COLUMNS, document

#: The fields that `match` searches besides properties; `matchFields` may select some of them.
#: Field -> kind of address to search. The ID is no address.
_MATCH_KINDS = {"ID": "", "username": "username", "aliases": "alias", "altnames": "altname"}

#: Field -> its column.
SORT_COLUMNS = {"ID": "id", "username": "username", "domainID": "domain_id", "status": "status", **FLAG_COLUMNS}

#: The trigram index finds no shorter words.
_SHORTEST_INDEXED = 3


def list_statement(domain_id: int | None, query: UserQuery) -> tuple[str, list[object]]:
    """The statement for a page of a domain: a row with the JSON of the response, or no row if there is no such domain.

    Without a domain, the statement for a page of all users. The administrator is in no list.
    """
    user = document(query.level, None if query.property_tags is None else len(query.property_tags))
    joins, order, order_params = _order(query)
    filters, filter_params, driven = _filters(query)
    page_params = [*(query.property_tags or []), *order_params]
    limits = [query.limit, query.offset]
    belongs, home, home_params = "u.domain_id = ?", "FROM domains WHERE id = ?", [domain_id]
    count = "active_users + inactive_users + virtual_users"
    if domain_id is None:
        belongs, home, home_params = "u.id > 0", "", []
        count = f"SELECT coalesce(sum({count}), 0) FROM domains"
    if not filters:
        sql = f"""
            SELECT CAST('{{"count":' || ({count}) || ',"data":[' || coalesce((
                       SELECT {gathered(query.limit)}
                         FROM (SELECT {user} AS document
                                 FROM users u {joins}
                                WHERE {belongs}
                                ORDER BY {order} LIMIT ? OFFSET ?)), '') || ']}}' AS BLOB)
              {home}"""
        return sql, [*page_params, *home_params, *limits, *home_params]
    # A search starts from its matches, not from the domain: the plus sign keeps SQLite from using the domain's index.
    belongs = f"+{belongs}" if driven else belongs
    sql = f"""
        WITH matched (id) AS MATERIALIZED (SELECT u.id FROM users u WHERE {belongs} AND {" AND ".join(filters)})
        SELECT CAST('{{"count":' || (SELECT count(*) FROM matched) || ',"data":[' || coalesce((
                   SELECT {gathered(query.limit)}
                     FROM (SELECT {user} AS document
                             FROM matched CROSS JOIN users u ON u.id = matched.id {joins}
                            ORDER BY {order} LIMIT ? OFFSET ?)), '') || ']}}' AS BLOB)
          {home}"""
    return sql, [*home_params, *filter_params, *page_params, *limits, *home_params]


async def select_users(database: Database, domain_id: int | None, query: UserQuery, *, caller: int) -> bytes | None:
    """The response `{"count", "data"}` as JSON; None when there is no such domain. Without a domain, for all users."""
    sql, params = list_statement(domain_id, query)
    # A short page from the domain's index takes hardly longer than a read by key. All other pages are searches.
    short = domain_id is not None and query.level < 2 and query.limit <= 100 and query.offset <= 1000
    by_key = short and not query.sort and query.property_tags is None and not _filters(query)[0]
    page: bytes | None = await (database.fetch_by_key(sql, params) if by_key else database.search(caller, sql, params))
    return page


def _order(query: UserQuery) -> tuple[str, str, list[object]]:
    joins: list[str] = []
    order: list[str] = []
    params: list[object] = []
    for number, (key, descending) in enumerate(query.sort):
        direction = " DESC" if descending else ""
        if isinstance(key, str):
            order.append(f"u.{SORT_COLUMNS[key]}{direction}")
            continue
        by = f"s{number}"
        joins.append(f"LEFT JOIN properties {by} ON {by}.user_id = u.id AND {by}.tag = ?")
        params.append(key)
        order += [f"{by}.id IS NULL", f"{by}.number{direction}", f"{by}.folded{direction}"]
    if not any(key == "ID" for key, _ in query.sort):
        order.append("u.id")
    return " ".join(joins), ", ".join(order), params


def _filters(query: UserQuery) -> tuple[list[str], list[object], bool]:
    """The conditions, their parameters, and whether one of them is more selective than the domain."""
    filters: list[str] = []
    params: list[object] = []
    driven = False
    if query.ids is not None:
        filters.append(f"u.id IN ({_marks(query.ids)})")
        params += query.ids
        driven = True
    if query.username is not None:
        filters.append("u.id IN (SELECT user_id FROM addresses WHERE key = ? AND kind = 'username')")
        params.append(fold(query.username))
        driven = True
    for word in query.words:
        condition, bound, indexed = _word(query, word)
        filters.append(condition)
        params += bound
        driven = driven or indexed
    if query.status is not None:
        filters.append(f"u.status IN ({_marks(query.status)})")
        params += query.status
    if query.org_ids is not None:
        filters.append(
            f"u.domain_id IN (SELECT id FROM domains WHERE coalesce(org_id, 0) IN ({_marks(query.org_ids)}))"
        )
        params += query.org_ids
    for tag, values in query.filter_tags:
        condition, bound = _property_filter(tag, values)
        filters.append(condition)
        params += bound
    return filters, params, driven


def _word(query: UserQuery, word: str) -> tuple[str, list[object], bool]:
    """The condition for one word of `match`. The word is literal text, never a pattern."""
    folded = fold(word)
    sources: list[str] = []
    params: list[object] = []
    indexed = len(folded) >= _SHORTEST_INDEXED and "\0" not in folded
    # In the query language of the index a quoted string is literal; quotes inside it are doubled.
    needle = '"' + folded.replace('"', '""') + '"' if indexed else folded
    kinds = [kind for name, kind in _MATCH_KINDS.items() if kind and name in query.match_fields]
    if kinds:
        narrowed = f"a.kind IN ({_marks(kinds)})"
        sources.append(
            f"""SELECT a.user_id FROM address_search x CROSS JOIN addresses a ON a.id = x.rowid
                 WHERE x.key MATCH ? AND {narrowed}"""
            if indexed
            else f"SELECT a.user_id FROM addresses a WHERE instr(a.key, ?) AND {narrowed}"
        )
        params += [needle, *kinds]
    if query.match_tags:
        narrowed = f"p.tag IN ({_marks(query.match_tags)})"
        sources.append(
            f"""SELECT p.user_id FROM property_search x CROSS JOIN properties p ON p.id = x.rowid
                 WHERE x.folded MATCH ? AND {narrowed}"""
            if indexed
            else f"SELECT p.user_id FROM properties p WHERE instr(p.folded, ?) AND {narrowed}"
        )
        params += [needle, *query.match_tags]
    if "ID" in query.match_fields and word.isascii() and word.isdigit() and len(word) < 19:
        sources.append("SELECT ?")
        params.append(int(word))
    if not sources:
        return "FALSE", [], False
    return f"u.id IN ({' UNION ALL '.join(sources)})", params, indexed


def _property_filter(tag: int, values: Sequence[int | str]) -> tuple[str, list[object]]:
    numbers = [value for value in values if isinstance(value, int)]
    texts = [fold(value) for value in values if isinstance(value, str)]
    if texts:
        return (
            f"""EXISTS (SELECT 1 FROM properties p
                         WHERE p.user_id = u.id AND p.tag = ? AND p.folded IN ({_marks(texts)}))""",
            [tag, *texts],
        )
    return f"u.id IN (SELECT user_id FROM properties WHERE tag = ? AND number IN ({_marks(numbers)}))", [
        tag,
        *numbers,
    ]


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
