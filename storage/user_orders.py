"""The orders of a list of users, and the indexes that have the users of a domain in them."""

from collections.abc import Sequence

from postroom.schemas.values.queries import UserQuery
from postroom.storage.pieces import Sql
from postroom.storage.spelling import pair
from postroom.storage.user_documents import FLAG_COLUMNS
from postroom.storage.user_filters import has_index

#: Field -> its column.
_SORT_COLUMNS = {"ID": "id", "username": "username", "domainID": "domain_id", "status": "status", **FLAG_COLUMNS}
#: Whether it is descending -> the order of `properties_by_value`. On PostgreSQL that has the beginning of a long text.
_VALUES = {
    False: pair(
        "p.number ASC, p.folded ASC",
        "p.number ASC NULLS FIRST, left(p.folded, 600) ASC NULLS FIRST, p.folded ASC",
    ),
    True: pair(
        "p.number DESC, p.folded DESC",
        "p.number DESC NULLS LAST, left(p.folded, 600) DESC NULLS LAST, p.folded DESC",
    ),
}
#: Sort field -> the index that has the users of a domain in that order.
_SORT_INDEXES: dict[str | int, str] = {"username": "users_by_name", "status": "users_by_status"}

#: (field or property tag, descending)
SortKey = tuple[str | int, bool]


def is_indexed(key: str | int) -> bool:
    """Whether an index has the users of a domain in the order of a field or property."""
    return key in _SORT_INDEXES or has_index(key)


def along(domain_id: int, sort: Sequence[SortKey]) -> Sql:
    """SELECT of the users of a domain in this order, along the index of the first key. By a property: who has it."""
    if sort and has_index(sort[0][0]):
        joins, terms = order(sort[1:])
        users = f"CROSS JOIN users u ON u.id = p.user_id {joins.text}" if len(sort) > 1 else ""
        return Sql(
            f"""SELECT p.user_id AS id FROM properties p INDEXED BY properties_by_value {users}
                 WHERE p.domain_id = ? AND p.tag = ? AND p.kind <> 'binary'
                 ORDER BY {_VALUES[sort[0][1]]}, {terms if users else "p.user_id"}""",
            (*joins.params, domain_id, sort[0][0]),
        )
    joins, terms = order(sort)
    index = _SORT_INDEXES.get(sort[0][0] if sort else "ID", "users_by_domain")
    return Sql(
        f"SELECT u.id FROM users u INDEXED BY {index} {joins.text} WHERE u.domain_id = ? ORDER BY {terms}",
        (*joins.params, domain_id),
    )


def sort_keys(domain_id: int | None, query: UserQuery) -> list[SortKey]:
    """The sort keys up to one that no two users share. The users of a domain have the same domain."""
    keys: list[SortKey] = []
    for key, descending in query.sort:
        if key == "domainID" and domain_id is not None:
            continue
        keys.append((key, descending))
        if key in ("ID", "username"):
            break
    return keys


def order(sort: Sequence[SortKey]) -> tuple[Sql, str]:
    """The joins that sort keys need, and the terms of ORDER BY. Users without a property come last."""
    joins: list[str] = []
    terms: list[str] = []
    params: list[object] = []
    for number, (key, descending) in enumerate(sort):
        direction = " DESC" if descending else ""
        if isinstance(key, str):
            terms.append(f"u.{_SORT_COLUMNS[key]}{direction}")
            continue
        by = f"s{number}"
        joins.append(f"LEFT JOIN properties {by} ON {by}.user_id = u.id AND {by}.tag = ?")
        params.append(key)
        terms += [f"{by}.id IS NULL", f"{by}.number{direction}", f"{by}.folded{direction}"]
    if not any(key == "ID" for key, _ in sort):
        terms.append("u.id")
    return Sql(" ".join(joins), tuple(params)), ", ".join(terms)
