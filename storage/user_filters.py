"""Whom a query of a list of users finds."""

from collections.abc import Sequence

from postroom.schemas.values.proptags import DISPLAY_NAME
from postroom.schemas.values.queries import UserQuery
from postroom.schemas.values.text import fold
from postroom.schemas.values.users import STATUS_NORMAL, STATUSES
from postroom.storage import user_search
from postroom.storage.engine import Matching
from postroom.storage.pieces import Sql, among, marks, params_of, together
from postroom.storage.spelling import pair
from postroom.storage.user_exceptions import unless_excepted

#: The fields that `match` searches besides properties; `matchFields` may select some of them.
#: Field -> kind of address to search. The column of `user_search` has the name of the field.
_MATCH_KINDS = {"username": "username", "aliases": "alias", "altnames": "altname"}

#: Values of a filter that are looked up one by one, each in the order of IDs; more are sorted together.
_FEW_VALUES = 16

#: The types of properties that `properties_by_value` leaves out: binary, one or several.
_BINARY_TYPES = (0x0102, 0x1102)


_NOBODY = Sql("SELECT 0 AS id WHERE FALSE")
#: The rows of `user_search` of a domain, from one ID to another.
_ROWS = pair(
    "x.rowid BETWEEN (? << 32) + ? AND (? << 32) + ?",
    "(x.domain_id = ? AND x.user_id >= ? AND x.domain_id = ? AND x.user_id <= ?)",
)
#: The first and the last ID to look at.
Span = tuple[int, int]


def found_by(domain_id: int | None, query: UserQuery, matching: Matching, span: Span | None = None) -> list[Sql]:
    """SELECTs of the IDs of all users whom the query finds, none twice; an empty list if it finds all.

    What is most selective finds users, and the rest of the query are conditions on each of them. With a span, only
    users with these IDs.
    """
    if [] in (query.ids, query.status, query.org_ids):
        return [_NOBODY]
    if query.username is not None or query.ids is not None:
        return [_by_key(domain_id, query, span)]
    if query.words:
        return _by_words(domain_id, query, matching, span)
    # Most users are normal; each other status has few.
    has_few = query.status is not None and STATUS_NORMAL not in query.status
    if query.filter_tags and has_index(query.filter_tags[0][0]) and not has_few:
        return _by_values(domain_id, query, span)
    if query.status is not None:
        return _by_status(domain_id, query, span)
    if query.filter_tags or query.org_ids is not None:
        return [_part("u.id", "users u", [_belongs(domain_id), *_within(span, "+u.id"), *of_filters(query, "u.id")])]
    return []


def _by_key(domain_id: int | None, query: UserQuery, span: Span | None, ids: Sequence[int] | None = None) -> Sql:
    """Users with the username, or with one of the IDs. The plus signs keep SQLite from reading the whole domain."""
    keys = []
    if query.username is not None:
        name = "u.id IN (SELECT user_id FROM addresses WHERE key = ? AND kind = 'username')"
        keys.append(Sql(name, (fold(query.username),)))
    keys += [among("u.id", choice) for choice in (ids, query.ids) if choice is not None]
    conditions = [*_of_words(query, "u.id", query.words), *of_filters(query, "u.id")]
    user_id = "u.id" if domain_id is None else user_search.ROW_ID
    return _part(user_id, "users u", [*keys, _belongs(domain_id, "+u.domain_id"), *_within(span, "+u.id"), *conditions])


def _by_words(domain_id: int | None, query: UserQuery, matching: Matching, span: Span | None) -> list[Sql]:
    """Users who have all words in their names or properties, and those whose ID is one of the words."""
    numbers = [int(word) for word in query.words if _is_id(query, word)]
    parts = [_by_key(domain_id, query, span, numbers)] if numbers else []
    columns = _search_columns(query)
    if not columns:
        return parts or [_NOBODY]
    # A word of nothing but characters that are not shown is in every text, but not in the index.
    unshown = [word for word in query.words if not fold(word)]
    shown = [fold(word) for word in query.words if fold(word)]
    user_id = f"(x.rowid & {user_search.ID_BITS})"
    conditions = of_filters(query, user_id)
    if domain_id is not None:
        conditions = unless_excepted(domain_id, query, user_id, conditions)
    if numbers:
        conditions.append(Sql(f"{user_id} NOT IN ({marks(numbers)})", tuple(numbers)))
    # The last column holds all other properties, also those that are not asked for.
    conditions += _of_words(query, user_id, query.words if columns[-1] == "properties" else unshown)
    if shown:
        conditions.insert(0, Sql(*matching(columns, shown)))
    if domain_id is not None:
        first, last = span or (0, user_search.ID_BITS)
        conditions.insert(0, Sql(_ROWS, (domain_id, first, domain_id, last)))
    else:
        conditions += _within(span, user_id)
    return [_part(user_id if domain_id is None else "x.rowid", "user_search x", conditions), *parts]


def _by_values(domain_id: int | None, query: UserQuery, span: Span | None) -> list[Sql]:
    """Users with one of the values of the first property: a part for each value has them in the order of their IDs."""
    (tag, values), *_ = query.filter_tags
    conditions = [*_within(span, "h.user_id"), *of_filters(query, "h.user_id")[1:]]
    of_tag = Sql(f"h.domain_id {_is_domain(domain_id)} AND h.tag = ? AND h.kind <> 'binary'", (*_known(domain_id), tag))
    return [
        _part("h.user_id", "properties h INDEXED BY properties_by_value", [of_tag, is_value, *conditions])
        for is_value in _value_conditions("h", values)
    ]


def _value_conditions(alias: str, values: Sequence[int | str]) -> list[Sql]:
    """Conditions that a property has one of the values, none of which is true at the same time as another."""
    known = list(dict.fromkeys(fold(value) if isinstance(value, str) else value for value in values))
    column, other = ("folded", "number") if isinstance(known[0], str) else ("number", "folded")
    if len(known) > _FEW_VALUES:
        return [Sql(f"{alias}.{other} IS NULL AND {alias}.{column} IN ({marks(known)})", tuple(known))]
    return [Sql(f"{alias}.{other} IS NULL AND {alias}.{column} = ?", (value,)) for value in known]


def _by_status(domain_id: int | None, query: UserQuery, span: Span | None) -> list[Sql]:
    """Users of one of the statuses: a part for each status has them in the order of their IDs."""
    conditions = [*_within(span, "u.id"), *_of_values(query, "u.id"), *_of_orgs(query, "u.id")]
    return [
        _part(
            "u.id",
            "users u INDEXED BY users_by_status",
            [
                Sql(f"u.domain_id {_is_domain(domain_id)} AND u.status = ?", (*_known(domain_id), status)),
                *conditions,
            ],
        )
        for status in sorted(set(query.status or []).intersection(STATUSES))
    ] or [_NOBODY]


# Conditions on a user, whose ID is `user_id`: an expression.


def _of_words(query: UserQuery, user_id: str, words: Sequence[str]) -> list[Sql]:
    """Each word is in one of the user's names or properties, or is the ID. Words are literal text, never patterns."""
    kinds = [kind for name, kind in _MATCH_KINDS.items() if name in query.match_fields]
    conditions = []
    for word in words:
        has = [Sql("FALSE")]
        if kinds:
            names = f"SELECT 1 FROM addresses a WHERE a.user_id = {user_id} AND a.kind IN ({marks(kinds)})"
            has.append(Sql(f"EXISTS ({names} AND instr(a.key, ?) > 0)", (*kinds, fold(word))))
        if query.match_tags:
            texts = f"SELECT 1 FROM properties p WHERE p.user_id = {user_id} AND p.tag IN ({marks(query.match_tags)})"
            text = f"EXISTS ({texts} AND p.kind = 'text' AND instr(p.folded, ?) > 0)"
            has.append(Sql(text, (*query.match_tags, fold(word))))
        if _is_id(query, word):
            has.append(Sql(f"{user_id} = ?", (int(word),)))
        conditions.append(Sql(f"({' OR '.join(each.text for each in has)})", params_of(*has)))
    return conditions


def of_filters(query: UserQuery, user_id: str) -> list[Sql]:
    """Conditions that a user passes all filters of the query, whatever else it finds users by."""
    return [*_of_values(query, user_id), *_of_status(query, user_id), *_of_orgs(query, user_id)]


def _of_values(query: UserQuery, user_id: str) -> list[Sql]:
    conditions = []
    for tag, values in query.filter_tags:
        is_value = _value_conditions("p", values)
        any_of = " OR ".join(f"({each.text})" for each in is_value)
        conditions.append(
            Sql(
                f"EXISTS (SELECT 1 FROM properties p WHERE p.user_id = {user_id} AND p.tag = ? AND ({any_of}))",
                (tag, *params_of(*is_value)),
            )
        )
    return conditions


def _of_status(query: UserQuery, user_id: str) -> list[Sql]:
    return [] if query.status is None else [among(f"(SELECT status FROM users WHERE id = {user_id})", query.status)]


def _of_orgs(query: UserQuery, user_id: str) -> list[Sql]:
    if query.org_ids is None:
        return []
    orgs = f"SELECT id FROM domains WHERE coalesce(org_id, 0) IN ({marks(query.org_ids)})"
    return [Sql(f"(SELECT domain_id FROM users WHERE id = {user_id}) IN ({orgs})", tuple(query.org_ids))]


# Pieces.


def _part(user_id: str, table: str, conditions: Sequence[Sql]) -> Sql:
    where = together(conditions)
    return Sql(f"SELECT {user_id} AS id FROM {table} WHERE {where.text}", where.params)


def _within(span: Span | None, user_id: str) -> list[Sql]:
    return [] if span is None else [Sql(f"{user_id} BETWEEN ? AND ?", span)]


def _belongs(domain_id: int | None, column: str = "u.domain_id") -> Sql:
    return Sql("u.id > 0") if domain_id is None else Sql(f"{column} = ?", (domain_id,))


def _is_domain(domain_id: int | None) -> str:
    """For an index that begins with the domain: in one domain, or in one after the other."""
    return "IN (SELECT id FROM domains)" if domain_id is None else "= ?"


def _known(domain_id: int | None) -> list[int]:
    return [] if domain_id is None else [domain_id]


def _search_columns(query: UserQuery) -> list[str]:
    columns = [name for name, kind in _MATCH_KINDS.items() if name in query.match_fields]
    if DISPLAY_NAME in query.match_tags:
        columns.append("displayname")
    if set(query.match_tags) - {DISPLAY_NAME}:
        columns.append("properties")
    return columns


def _is_id(query: UserQuery, word: str) -> bool:
    return "ID" in query.match_fields and word.isascii() and word.isdigit() and len(word) < 19


def has_index(key: int | str) -> bool:
    """Whether `properties_by_value` has it: whether it is the tag of a property that is not binary."""
    return isinstance(key, int) and key & 0xFFFF not in _BINARY_TYPES
