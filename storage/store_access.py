"""Access of users to other users' stores."""

import json
from collections.abc import Sequence

from postroom.schemas.values.proptags import DISPLAY_NAME
from postroom.schemas.values.text import fold
from postroom.storage.database import Database
from postroom.storage.engine import Connection
from postroom.storage.spelling import TEXTS

_SELECT = f"""
    SELECT CAST(json_object('data', json((
               SELECT json_group_array(json_object(
                          'ID', id, 'memberID', CAST(id AS TEXT), 'displayName', name, 'username', username))
                 FROM (SELECT m.id, m.username, coalesce(p.value, m.username) AS name
                         FROM store_access s
                         JOIN users m ON m.id = s.member_id
                         LEFT JOIN properties p ON p.user_id = m.id AND p.tag = {DISPLAY_NAME}
                        WHERE s.user_id = u.id
                        ORDER BY s.member_id)
           ))) AS BLOB)
      FROM users u
     WHERE u.id = ? AND u.domain_id = ? AND u.status <> 5
"""


async def select_members(database: Database, domain_id: int, user_id: int) -> bytes | None:
    """The response `{"data": [{ID, memberID, displayName, username}, ...]}`; None: no such user, or a contact."""
    found: bytes | None = await database.fetch_by_key(_SELECT, (user_id, domain_id))
    return found


def read_members(connection: Connection, domain_id: int, user_id: int) -> bytes:
    """Like select_members, inside a transaction, for an existing user."""
    found: bytes = connection.execute(_SELECT, (user_id, domain_id)).fetchone()[0]
    return found


def find_colleagues(connection: Connection, domain_id: int, addresses: Sequence[str]) -> dict[str, int]:
    """Address as given -> user ID, for mailboxes of the domain or of its organisation.

    An address may be a username or an alias, in any case. Unknown addresses are left out.
    """
    rows = connection.execute(
        f"""
        SELECT a.key, a.user_id
          FROM {TEXTS} wanted
          JOIN addresses a ON a.key = wanted.value AND a.kind <> 'altname'
          JOIN users u ON u.id = a.user_id AND u.status <> 5
          JOIN domains theirs ON theirs.id = u.domain_id
          JOIN domains ours ON ours.id = ?
         WHERE theirs.id = ours.id OR theirs.org_id = ours.org_id
        """,
        (json.dumps([fold(address) for address in addresses]), domain_id),
    )
    by_key = dict(rows.fetchall())
    return {address: by_key[fold(address)] for address in addresses if fold(address) in by_key}


def replace_members(connection: Connection, user_id: int, member_ids: Sequence[int]) -> None:
    """Replaces the users who have access."""
    connection.execute("DELETE FROM store_access WHERE user_id = ?", (user_id,))
    add_members(connection, user_id, member_ids)


def add_members(connection: Connection, user_id: int, member_ids: Sequence[int]) -> None:
    """Gives users access; those who have it already keep it."""
    connection.executemany(
        "INSERT INTO store_access (user_id, member_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
        [(user_id, member_id) for member_id in member_ids],
    )


def count_members(connection: Connection, user_id: int) -> int:
    """The number of users who have access to a store."""
    (count,) = connection.execute("SELECT count(*) FROM store_access WHERE user_id = ?", (user_id,)).fetchone()
    return int(count)


def delete_member(connection: Connection, user_id: int, member_id: int) -> bool:
    """Removes a user's access; False when they had none."""
    deleted = connection.execute(
        "DELETE FROM store_access WHERE user_id = ? AND member_id = ?", (user_id, member_id)
    ).rowcount
    return deleted > 0
