"""Who may send mail for a user: delegates and send-as, as lists of addresses in order."""

import sqlite3
from collections.abc import Sequence

from postroom.storage.database import Database
from postroom.storage.text import fold

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
    """The answer `{"data": [address, ...]}` as JSON; None when the domain has no such user."""
    found: bytes | None = await database.fetch_by_key(_SELECT, (kind, user_id, domain_id))
    return found


def read_grants(connection: sqlite3.Connection, domain_id: int, user_id: int, kind: str) -> bytes | None:
    """The same as it stands inside a transaction."""
    row = connection.execute(_SELECT, (kind, user_id, domain_id)).fetchone()
    return row[0] if row else None


def replace_grants(connection: sqlite3.Connection, user_id: int, kind: str, addresses: Sequence[str]) -> None:
    """Makes these the list, in this order; of addresses that differ in case only the first counts."""
    connection.execute("DELETE FROM grants WHERE user_id = ? AND kind = ?", (user_id, kind))
    by_key: dict[str, str] = {}
    for address in addresses:
        by_key.setdefault(fold(address), address)
    connection.executemany(
        "INSERT INTO grants (user_id, kind, position, address, key) VALUES (?, ?, ?, ?, ?)",
        [(user_id, kind, position, address, key) for position, (key, address) in enumerate(by_key.items())],
    )


def move_grants(connection: sqlite3.Connection, keys: Sequence[str], address: str) -> None:
    """Grants to these addresses (folded) are grants to that one from now on; nobody is in a list twice."""
    for key in keys:
        connection.execute(
            "UPDATE OR IGNORE grants SET address = ?, key = ? WHERE key = ?", (address, fold(address), key)
        )
        connection.execute("DELETE FROM grants WHERE key = ? AND key <> ?", (key, fold(address)))


def delete_grants_to_users(connection: sqlite3.Connection, condition: str, param: object) -> None:
    """Removes grants to any address of the users that meet a condition on the table users."""
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
