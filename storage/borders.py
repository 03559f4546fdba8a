"""Finds and deletes what users of some domains have in others: access to stores, grants to send, and names.

The domains of both sides are given by ID, or by name as in folded addresses.
"""

import json
from collections.abc import Collection

from postroom.storage.engine import Connection
from postroom.storage.spelling import NUMBERS, TEXTS

#: The domain of a folded address.
_DOMAIN = "substr(key, instr(key, '@') + 1)"


def delete_store_access(connection: Connection, one: Collection[int], other: Collection[int]) -> None:
    """Removes the access of users of either side to stores of the other side."""
    for owners, members in ((one, other), (other, one)):
        connection.execute(
            f"""
            DELETE FROM store_access
             WHERE user_id IN (SELECT id FROM users WHERE domain_id IN {NUMBERS})
               AND member_id IN (SELECT id FROM users WHERE domain_id IN {NUMBERS})
            """,
            (_json(owners), _json(members)),
        )


def delete_grants(
    connection: Connection, owners: Collection[int], members: Collection[int], names: Collection[str]
) -> None:
    """Removes grants by users of `owners` to users of `members`, or to addresses in the domains `names`."""
    connection.execute(
        f"""
        DELETE FROM grants
         WHERE user_id IN (SELECT id FROM users WHERE domain_id IN {NUMBERS})
           AND CASE WHEN member_id IS NULL THEN {_DOMAIN} IN {TEXTS}
                    ELSE member_id IN (SELECT id FROM users WHERE domain_id IN {NUMBERS}) END
        """,
        (_json(owners), _json(names), _json(members)),
    )


def list_named(connection: Connection, owners: Collection[int], names: Collection[str]) -> list[tuple[int, int]]:
    """(domain ID, user ID) of the users of these domains who have an alias or altname in a domain of `names`."""
    return connection.execute(
        f"""
        SELECT DISTINCT u.domain_id, u.id
          FROM users u
          JOIN addresses a ON a.user_id = u.id AND a.kind <> 'username'
         WHERE u.domain_id IN {NUMBERS} AND {_DOMAIN} IN {TEXTS}
         ORDER BY u.id
        """,
        (_json(owners), _json(names)),
    ).fetchall()


def delete_names(connection: Connection, user_id: int, names: Collection[str]) -> None:
    """Removes a user's aliases and altnames in the domains `names`."""
    connection.execute(
        f"""
        DELETE FROM addresses
         WHERE user_id = ? AND kind <> 'username' AND instr(key, '@') > 0 AND {_DOMAIN} IN {TEXTS}
        """,
        (user_id, _json(names)),
    )


def _json(values: Collection[int] | Collection[str]) -> str:
    return json.dumps(sorted(values))
