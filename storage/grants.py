"""Who may send mail for a user: delegates and send-as, as lists of addresses in order."""

from collections.abc import Sequence

from postroom.schemas.values.text import fold
from postroom.storage.database import Database
from postroom.storage.sqlite import sqlite3

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
    """Makes these the list, in this order; of addresses that differ in case only the first counts.

    A grant that is there already stays one to whom it was made.
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
                CASE WHEN ? THEN ? ELSE (SELECT user_id FROM addresses WHERE key = ? AND kind <> 'altname') END)
        """,
        [
            (user_id, kind, position, address, key, key in members, members.get(key), key)
            for position, (key, address) in enumerate(by_key.items())
        ],
    )


def move_grants(connection: sqlite3.Connection, member_id: int, keys: Sequence[str], address: str) -> None:
    """Grants to a user by these addresses (folded) name that one from now on; nobody is in a list twice.

    Grants by one of the addresses that were made while it was nobody's, or somebody else's, stay as they are.
    """
    for key in keys:
        connection.execute(
            "UPDATE OR IGNORE grants SET address = ?, key = ? WHERE key = ? AND member_id = ?",
            (address, fold(address), key, member_id),
        )
        connection.execute(
            "DELETE FROM grants WHERE key = ? AND member_id = ? AND key <> ?", (key, member_id, fold(address))
        )


def delete_grants_to_users(connection: sqlite3.Connection, condition: str, param: object) -> None:
    """Removes grants to any address of the users that meet a condition on the table users.

    Those too that were made before the address was theirs: who is given it later must not inherit them.
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
