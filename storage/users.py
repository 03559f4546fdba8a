"""Reads and writes rows of users. The rules are in app/transactions/users.py."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import NamedTuple

from postroom.schemas.values.text import fold
from postroom.storage.database import Database
from postroom.storage.domains import DomainRow
from postroom.storage.engine import Connection
from postroom.storage.spelling import pair
from postroom.storage.user_documents import FLAG_COLUMNS, document

_SELECT = {
    level: f"SELECT CAST({document(level)} AS BLOB) FROM users u WHERE u.id = ? AND u.domain_id = ?"
    for level in (0, 1, 2)
}
_SELECT_BY_ID = f"SELECT CAST({document(2)} AS BLOB) FROM users u WHERE u.id = ?"
_SELECT_PROFILE = f"SELECT CAST({document(2, fetchmail=False)} AS BLOB) FROM users u WHERE u.id = ?"

#: Fields of a user that are one column each: name in the API -> column.
COLUMNS = {"status": "status", "lang": "lang", "syncPolicy": "sync_policy", "ldapID": "ldap_id", **FLAG_COLUMNS}

#: The origin of an altname: entered by hand, or from the directory.
MAGIC_MANUAL, MAGIC_LDAP = 0, 99


class UserRow(NamedTuple):
    """The columns of a user that transactions need."""

    id: int
    domain_id: int
    username: str
    status: int
    ldap_id: str | None
    lang: str
    org_id: int | None


async def select_user(database: Database, domain_id: int, user_id: int, level: int) -> bytes | None:
    """A user's JSON document, or None when the domain has no such user."""
    found: bytes | None = await database.fetch_by_key(_SELECT[level], (user_id, domain_id))
    return found


async def select_profile(database: Database, user_id: int) -> bytes | None:
    """The document of level 2 without fetchmail, for a user in any domain or the administrator."""
    found: bytes | None = await database.fetch_by_key(_SELECT_PROFILE, (user_id,))
    return found


def read_user(connection: Connection, user_id: int) -> bytes:
    """The document of level 2, inside a transaction."""
    row = connection.execute(_SELECT_BY_ID, (user_id,)).fetchone()
    found: bytes = row[0]
    return found


_SELECT_ROW = """
    SELECT u.id, u.domain_id, u.username, u.status, u.ldap_id, u.lang, d.org_id
      FROM users u
      JOIN domains d ON d.id = u.domain_id
     WHERE u.id = ? AND u.domain_id = ?
"""


async def select_user_row(database: Database, domain_id: int, user_id: int) -> UserRow | None:
    """The user of that domain, or None."""
    row = await database.fetch_row_by_key(_SELECT_ROW, (user_id, domain_id))
    return UserRow._make(row) if row else None


def find_user(connection: Connection, domain_id: int, user_id: int) -> UserRow | None:
    """The user of that domain, or None."""
    row = connection.execute(_SELECT_ROW, (user_id, domain_id)).fetchone()
    return UserRow._make(row) if row else None


_SELECT_BOTH = """
    SELECT u.id, u.domain_id, u.username, u.status, u.ldap_id, u.lang, d.org_id,
           d.id, d.org_id, d.domainname, d.max_user, d.active_users, d.domain_status
      FROM users u
      JOIN domains d ON d.id = u.domain_id
     WHERE u.id = ? AND u.domain_id = ?
"""


def find_user_and_domain(connection: Connection, domain_id: int, user_id: int) -> tuple[UserRow, DomainRow] | None:
    """The user of that domain with the domain, or None."""
    row = connection.execute(_SELECT_BOTH, (user_id, domain_id)).fetchone()
    return (UserRow._make(row[:7]), DomainRow._make(row[7:])) if row else None


def is_user(connection: Connection, user_id: int) -> bool:
    """Whether the user exists, in any domain."""
    return connection.execute("SELECT 1 FROM users WHERE id = ?", (user_id,)).fetchone() is not None


def find_user_of_object(connection: Connection, domain_id: int, ldap_id: str) -> int | None:
    """The ID of the domain's user who is linked to a directory object, or None."""
    row = connection.execute(
        "SELECT id FROM users WHERE domain_id = ? AND ldap_id = ?", (domain_id, ldap_id)
    ).fetchone()
    return int(row[0]) if row else None


_NEXT_ID = pair(
    "SELECT seq + 1 FROM sqlite_sequence WHERE name = 'users'",
    "SELECT CASE WHEN is_called THEN last_value + 1 ELSE last_value END FROM users_id_seq",
)


def next_user_id(connection: Connection) -> int:
    """The ID of the next new user; valid until the end of the transaction."""
    row = connection.execute(_NEXT_ID).fetchone()
    return int(row[0]) if row else 1


#: A name of a user: ("alias" or "altname", the name, its origin).
Name = tuple[str, str, int]


def insert_user(
    connection: Connection,
    domain_id: int,
    username: str,
    password: str | None,
    fields: Mapping[str, object] | None = None,
    names: Iterable[Name] = (),
) -> int:
    """Adds a user with these `fields`, named as in the API, and the schema's defaults for others; returns the ID.

    Raises IntegrityError when another user has one of the names.
    """
    row = {"domain_id": domain_id, "username": username, "password": password, **_columns(fields or {})}
    (user_id,) = connection.execute(
        f"INSERT INTO users ({', '.join(row)}) VALUES ({', '.join('?' * len(row))}) RETURNING id", tuple(row.values())
    ).fetchone()
    insert_addresses(connection, user_id, [("username", username, 0), *names])
    return int(user_id)


def update_fields(connection: Connection, user_id: int, fields: Mapping[str, object]) -> None:
    """Sets columns by their names in the API; ignores fields that are not in `COLUMNS`."""
    known = _columns(fields)
    if known:
        assignments = ", ".join(f"{column} = ?" for column in known)
        connection.execute(f"UPDATE users SET {assignments} WHERE id = ?", (*known.values(), user_id))


def update_username(connection: Connection, user_id: int, username: str) -> None:
    """Renames a user and frees the old address at once."""
    connection.execute("UPDATE users SET username = ? WHERE id = ?", (username, user_id))
    connection.execute("DELETE FROM addresses WHERE user_id = ? AND kind = 'username'", (user_id,))
    insert_address(connection, user_id, "username", username)


def unlink_user(connection: Connection, user_id: int) -> None:
    """Removes a user's link to the directory. A trigger ends the user's sessions, as with any change of a link."""
    connection.execute("UPDATE users SET ldap_id = NULL WHERE id = ?", (user_id,))


def delete_user(connection: Connection, user_id: int) -> None:
    """Removes a user. Foreign keys also remove every row that refers to the user as owner or member."""
    connection.execute("DELETE FROM users WHERE id = ?", (user_id,))


def insert_address(connection: Connection, user_id: int, kind: str, address: str, magic: int = 0) -> None:
    """Adds a name of a user. Raises IntegrityError when another user has it."""
    insert_addresses(connection, user_id, [(kind, address, magic)])


def insert_addresses(connection: Connection, user_id: int, names: Sequence[Name]) -> None:
    """Like insert_address, for several names in order. Here a name may also have the kind "username"."""
    if names:
        rows = [(user_id, kind, address, fold(address), magic) for kind, address, magic in names]
        for start in range(0, len(rows), _MOST_ROWS):
            part = rows[start : start + _MOST_ROWS]
            connection.execute(_insert_addresses(len(part)), list(chain.from_iterable(part)))


#: Most rows in one statement. More would hardly be faster, and each number of rows is another cached statement.
_MOST_ROWS = 64


@cache
def _insert_addresses(rows: int) -> str:
    values = ", ".join(["(?, ?, ?, ?, ?)"] * rows)
    return f"INSERT INTO addresses (user_id, kind, address, key, magic) VALUES {values}"


def replace_addresses(connection: Connection, user_id: int, kind: str, addresses: Iterable[tuple[str, int]]) -> None:
    """Replaces a user's aliases or altnames by (address, magic) pairs, in order."""
    connection.execute("DELETE FROM addresses WHERE user_id = ? AND kind = ?", (user_id, kind))
    insert_addresses(connection, user_id, [(kind, address, magic) for address, magic in addresses])


def list_addresses(connection: Connection, user_id: int, kind: str) -> list[tuple[str, int]]:
    """(address, magic) of a user's names of one kind, in order."""
    return connection.execute(
        "SELECT address, magic FROM addresses WHERE user_id = ? AND kind = ? ORDER BY id", (user_id, kind)
    ).fetchall()


def is_address_taken(connection: Connection, address: str, user_id: int | None) -> bool:
    """Whether another user than this one (None: a new user) has the address as username or alias."""
    return _exists(connection, "a.kind <> 'altname'", address, user_id)


def is_username_an_altname(connection: Connection, username: str, user_id: int | None) -> bool:
    """Whether another user has the name as an altname."""
    return _exists(connection, "a.kind = 'altname'", username, user_id)


def is_altname_taken(connection: Connection, altname: str, user_id: int | None) -> bool:
    """Whether another user has it as altname or username. Usernames of contacts do not count: they cannot log in."""
    condition = "(a.kind = 'altname' OR a.kind = 'username' AND u.status <> 5)"
    return _exists(connection, condition, altname, user_id)


def _exists(connection: Connection, condition: str, address: str, user_id: int | None) -> bool:
    sql = f"""
        SELECT 1
          FROM addresses a
          JOIN users u ON u.id = a.user_id
         WHERE a.key = ? AND a.user_id IS DISTINCT FROM ? AND {condition}
    """
    return connection.execute(sql, (fold(address), user_id)).fetchone() is not None


def set_forward(connection: Connection, user_id: int, forward: Mapping[str, object] | None) -> None:
    """Sets or (None) removes the user's forward."""
    connection.execute("DELETE FROM forwards WHERE user_id = ?", (user_id,))
    if forward is not None:
        connection.execute(
            "INSERT INTO forwards (user_id, forward_type, destination) VALUES (?, ?, ?)",
            (user_id, forward["forwardType"], forward["destination"]),
        )


def _columns(fields: Mapping[str, object]) -> dict[str, object]:
    return {COLUMNS[name]: value for name, value in fields.items() if name in COLUMNS}
