"""The page of users that clients ask for most: short, near the beginning, of all users of a domain, by ID."""

from functools import lru_cache

from postroom.schemas.values.queries import UserQuery
from postroom.storage.searches import FEW
from postroom.storage.user_documents import document


def is_plain(query: UserQuery) -> bool:
    """Whether a query asks for such a page."""
    is_short = query.level < 2 and query.limit <= FEW and query.offset <= 1000
    unnamed = query.username is None and query.ids is None and query.status is None and query.org_ids is None
    shown = query.property_tags is None and not query.sort and query.cursor is None
    return is_short and unnamed and shown and not query.words and not query.filter_tags


@lru_cache(maxsize=2)
def plain_statement(level: int) -> str:
    """The statement for it; its values are the domain, limit, offset, and the domain once more."""
    # In one step: so near the beginning of the index, choosing the IDs first costs more than it saves.
    return f"""
        SELECT CAST('{{"count":' || (active_users + inactive_users + virtual_users) || ',"data":[' || coalesce((
                   SELECT group_concat(document)
                     FROM (SELECT {document(level)} AS document FROM users u INDEXED BY users_by_domain
                            WHERE u.domain_id = ? ORDER BY u.id LIMIT ? OFFSET ?)), '')
                    || ']}}' AS BLOB)
          FROM domains WHERE id = ?"""
