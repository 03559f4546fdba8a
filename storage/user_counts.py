"""How many users a query of a list finds on all pages together."""

from collections.abc import Sequence

from postroom.schemas.values.queries import UserQuery
from postroom.schemas.values.users import STATUSES
from postroom.storage.pieces import Sql, among, params_of, together

#: The counts in `domains`: column -> what it counts.
_KEPT_COUNTS = {"active_users": {0}, "inactive_users": {1, 2, 3}, "virtual_users": {4, 5}}


#: The property whose counts are kept: displaytypeex.
DISPLAY_TYPE = 0x39050003


def kept_count(domain_id: int | None, query: UserQuery) -> Sql | None:
    """SELECT of how many users there are on all pages, if that is kept; else None."""
    if query.words or query.ids is not None or query.username is not None or query.org_ids is not None:
        return None
    if query.filter_tags:
        return _kept_by_display_type(domain_id, query)
    columns = _kept_by_status(query)
    if columns is None:
        return None
    where = "" if domain_id is None else "WHERE id = ?"
    return Sql(f"SELECT coalesce(sum({columns}), 0) FROM domains {where}", () if domain_id is None else (domain_id,))


def counted(found: Sequence[Sql]) -> Sql:
    """SELECT of the number of those who are found."""
    counts = " + ".join(f"(SELECT count(*) FROM ({part.text}) f)" for part in found)
    return Sql(f"SELECT {counts}", params_of(*found))


def _kept_by_status(query: UserQuery) -> str | None:
    """The columns of `domains` that have the count, as a sum."""
    if query.status is None:
        return " + ".join(_KEPT_COUNTS)
    asked = set(query.status).intersection(STATUSES)
    columns = [column for column, statuses in _KEPT_COUNTS.items() if statuses <= asked]
    covered = set().union(*(_KEPT_COUNTS[column] for column in columns))
    return " + ".join(columns) or "0" if covered >= asked else None


def _kept_by_display_type(domain_id: int | None, query: UserQuery) -> Sql | None:
    (tag, values), *more = query.filter_tags
    if tag != DISPLAY_TYPE or more:
        return None
    conditions = [among("display_type", values)]
    if query.status is not None:
        conditions.append(among("status", query.status))
    if domain_id is not None:
        conditions.append(Sql("domain_id = ?", (domain_id,)))
    where = together(conditions)
    return Sql(f"SELECT coalesce(sum(users), 0) FROM display_type_counts WHERE {where.text}", where.params)
