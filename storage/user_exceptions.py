"""Filters that nearly everybody in a domain passes. Web consoles add such filters to every search.

To look at each user whom a search finds takes ten times as long as the search. Those few who do not pass are read from
an index once, and then left out of what is found.
"""

from collections.abc import Sequence
from typing import Final

from postroom.schemas.values.queries import UserQuery
from postroom.schemas.values.users import STATUSES
from postroom.storage.pieces import Sql, among, together, union
from postroom.storage.user_counts import DISPLAY_TYPE

#: If more users than these do not pass, each user who is found is looked at.
_FEW: Final = 20_000


def unless_excepted(domain_id: int, query: UserQuery, user_id: str, conditions: Sequence[Sql]) -> list[Sql]:
    """The same as `conditions`, which are those of all filters of the query on a user with this ID, but quicker where
    few users of the domain do not pass: by status, by display type, or by both.
    """
    others = [tag for tag, _ in query.filter_tags if tag != DISPLAY_TYPE]
    if not conditions or others or len(query.filter_tags) > 1 or query.org_ids is not None:
        return list(conditions)
    parts, are_known = [], Sql("TRUE")
    if query.status is not None:
        parts += _with_another_status(domain_id, query.status)
    for _, values in query.filter_tags:
        parts.append(_with_another_type(domain_id, values))
        are_known = _have_all_types(domain_id)
    excepted, each = union(parts), together(conditions)
    if not parts:
        return []  # every status is asked for
    return [
        Sql(
            f"""CASE WHEN {are_known.text} AND (SELECT count(*) FROM (SELECT 1 FROM ({excepted.text}) e LIMIT ?) f) <= ?
                     THEN {user_id} NOT IN ({excepted.text}) ELSE {each.text} END""",
            (*are_known.params, *excepted.params, _FEW + 1, _FEW, *excepted.params, *each.params),
        )
    ]


def _with_another_status(domain_id: int, asked: Sequence[int]) -> list[Sql]:
    """SELECTs of the users with a status that is not asked for."""
    users = "SELECT id FROM users INDEXED BY users_by_status WHERE domain_id = ? AND status = ?"
    return [Sql(users, (domain_id, status)) for status in sorted(set(STATUSES).difference(asked))]


def _with_another_type(domain_id: int, asked: Sequence[object]) -> Sql:
    """SELECT of the users with a display type that is not asked for."""
    is_asked = among("display_type", asked)
    types = f"SELECT display_type FROM display_type_counts WHERE domain_id = ? AND NOT {is_asked.text}"
    return Sql(
        f"""SELECT user_id FROM properties INDEXED BY properties_by_value
             WHERE domain_id = ? AND tag = ? AND kind <> 'binary' AND folded IS NULL AND number IN ({types})""",
        (domain_id, DISPLAY_TYPE, domain_id, *is_asked.params),
    )


def _have_all_types(domain_id: int) -> Sql:
    """Whether every user of the domain has a display type. Who has none is in no index."""
    return Sql(
        """(SELECT active_users + inactive_users + virtual_users FROM domains WHERE id = ?)
           = (SELECT sum(users) FROM display_type_counts WHERE domain_id = ?)""",
        (domain_id, domain_id),
    )
