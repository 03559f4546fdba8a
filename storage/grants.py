"""Grants to send mail for a user: delegates and send-as, as ordered lists of addresses."""

from collections.abc import Sequence

from postroom.schemas.values.text import fold
from postroom.storage.database import Database
from postroom.storage.engine import Connection

DELEGATE, SENDAS = "delegate", "sendas"

_SELECT = """
    SELECT CAST(json_object('data', json((
               SELECT json_group_array(address)
                 FROM (SELECT address FROM grants WHERE user_id = u.id AND kind = ? ORDER BY position)
           ))) AS BLOB)
      FROM users u
     WHERE u.id = ? AND u.domain_id = ?
"""


async def select_grants(database: Database, domain_id: int, user_id: int, kind: str) -> bytes | None:
    """The response `{"data": [address, ...]}` as JSON; None when the domain has no such user."""
    found: bytes | None = await database.fetch_by_key(_SELECT, (kind, user_id, domain_id))
    return found


def read_grants(connection: Connection, domain_id: int, user_id: int, kind: str) -> bytes | None:
    """Like select_grants, inside a transaction."""
    row = connection.execute(_SELECT, (kind, user_id, domain_id)).fetchone()
    return row[0] if row else None


def replace_grants(connection: Connection, user_id: int, kind: str, addresses: Sequence[str]) -> None:
    """Replaces the list, in this order. Of addresses that differ only in case, the first one counts.

    An existing grant keeps the user to whom it was made.
    """
    members = dict(
        connection.execute("SELECT key, member_id FROM grants WHERE user_id = ? AND kind = ?", (user_id, kind))
    )
    connection.execute("DELETE FROM grants WHERE user_id = ? AND kind = ?", (user_id, kind))
    by_key: dict[str, str] = {}
    for address in addresses:
        by_key.setdefault(fold(address), address)
    connection.executemany(
        """
        INSERT INTO grants (user_id, kind, position, address, key, member_id)
        VALUES (?, ?, ?, ?, ?,
                CASE WHEN ? <> 0 THEN CAST(? AS INTEGER)
                     ELSE (SELECT user_id FROM addresses WHERE key = ? AND kind <> 'altname') END)
        """,
        [
            (user_id, kind, position, address, key, key in members, members.get(key), key)
            for position, (key, address) in enumerate(by_key.items())
        ],
    )


def move_grants(connection: Connection, member_id: int, keys: Sequence[str], address: str) -> None:
    """Changes grants to a user under one of these addresses (`keys`, folded) to `address`, without duplicates.

    Grants to one of the addresses stay if they were made while nobody or another user had the address.
    """
    for key in keys:
        connection.execute(
            """
            UPDATE grants
               SET address = ?, key = ?
             WHERE key = ? AND member_id = ?
               AND NOT EXISTS (SELECT 1 FROM grants g
                                WHERE g.user_id = grants.user_id AND g.kind = grants.kind
                                  AND g.key = ? AND g.key <> grants.key)
            """,
            (address, fold(address), key, member_id, fold(address)),
        )
        connection.execute(
            "DELETE FROM grants WHERE key = ? AND member_id = ? AND key <> ?", (key, member_id, fold(address))
        )


def delete_grants_to_users(connection: Connection, condition: str, param: object) -> None:
    """Removes grants to all addresses of the users that match a condition on the table users.

    This includes grants from before the user had the address: a later owner must not inherit them.
    """
    connection.execute(
        f"""
        DELETE FROM grants
         WHERE key IN (SELECT a.key
                         FROM users u
                         JOIN addresses a ON a.user_id = u.id AND a.kind <> 'altname'
                        WHERE u.{condition})
        """,
        (param,),
    )
