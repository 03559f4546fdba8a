"""The data of a user for logins and permission checks, and stored settings."""

import json
from dataclasses import dataclass
from typing import Any, Final, cast

from postroom.schemas.values.self_service import DEFAULT
from postroom.schemas.values.text import fold
from postroom.storage import sealed
from postroom.storage.audit.record import discard
from postroom.storage.database import Database
from postroom.storage.engine import Connection, Writer
from postroom.storage.keyring import KeyFileError, UnreadableSecretError


@dataclass(frozen=True, slots=True)
class Account:
    """A user as logins see them. `domain_status` is 0 for the administrator, who has no domain."""

    id: int
    username: str
    password: str | None
    status: int
    ldap_id: str | None
    domain_id: int | None
    domain_status: int
    org_id: int | None
    #: sum of the user's and the domain's epoch: a change of either invalidates all earlier tokens
    token_epoch: int
    #: (epoch, token ID) of the session that survived the password change which started that epoch
    kept_session: tuple[int | None, str | None]
    #: (permission, domain ID, organisation ID, everything), and None when the user has no role at all
    permissions: list[tuple[str, int | None, int | None, bool]] | None
    #: organisation ID -> IDs of its domains, for the organisations in the permissions
    domains_of_org: dict[int, list[int]]
    #: what the user's domain lets them change of their own
    self_service: frozenset[str]


_SELECT = """
    SELECT u.id, u.username, u.password, u.status, u.ldap_id, u.domain_id, coalesce(d.domain_status, 0), d.org_id,
           u.token_epoch + coalesce(d.token_epoch, 0), u.kept_epoch, u.kept_session,
           CASE WHEN EXISTS (SELECT 1 FROM user_roles WHERE user_id = u.id)
                THEN (SELECT json_group_array(json_array(p.permission, p.domain_id, p.org_id, p.everything))
                        FROM user_roles x JOIN role_permissions p ON p.role_id = x.role_id WHERE x.user_id = u.id)
           END,
           (SELECT json_group_array(json_array(o.org_id, o.id))
              FROM user_roles x
              JOIN role_permissions p ON p.role_id = x.role_id AND p.permission = 'OrgAdmin'
              JOIN domains o ON o.org_id = p.org_id
             WHERE x.user_id = u.id),
           d.self_service
      FROM users u
      LEFT JOIN domains d ON d.id = u.domain_id
"""


async def select_account(database: Database, user_id: int) -> Account | None:
    """The account of a user ID, or None."""
    return _account(await database.look_up(f"{_SELECT} WHERE u.id = ?", (user_id,)))


def find_account(connection: Connection, user_id: int) -> Account | None:
    """Like select_account, inside a transaction."""
    return _account(connection.execute(f"{_SELECT} WHERE u.id = ?", (user_id,)).fetchone())


async def select_login(database: Database, name: str) -> Account | None:
    """The account of a username or altname in any case, or None. Contacts cannot log in."""
    row = await database.look_up(
        f"""{_SELECT} WHERE u.id = (SELECT a.user_id
                                      FROM addresses a
                                      JOIN users x ON x.id = a.user_id AND x.status <> 5
                                     WHERE a.key = ? AND a.kind IN ('username', 'altname')
                                     ORDER BY a.kind DESC
                                     LIMIT 1)""",
        (fold(name),),
    )
    return _account(row)


async def select_addressee(database: Database, address: str) -> Account | None:
    """The account of a username or alias in any case, or None. Ignores altnames: one may be another user's alias."""
    row = await database.look_up(
        f"{_SELECT} WHERE u.id = (SELECT user_id FROM addresses WHERE key = ? AND kind <> 'altname')", (fold(address),)
    )
    return _account(row)


def domains_by_org(text: str) -> dict[int, list[int]]:
    """Organisation ID -> IDs of its domains, from a JSON list of such pairs."""
    domains_of_org: dict[int, list[int]] = {}
    for org_id, domain_id in json.loads(text):
        domains_of_org.setdefault(org_id, []).append(domain_id)
    return domains_of_org


def _account(row: Any) -> Account | None:
    if row is None:
        return None
    held = None
    if row[11] is not None:
        held = [(name, domain, org, bool(everything)) for name, domain, org, everything in json.loads(row[11])]
    kept_session = (row[9], row[10])
    domains_of_org = domains_by_org(row[12])
    self_service = frozenset(DEFAULT if row[13] is None else json.loads(row[13]))
    return Account(
        row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8],
        kept_session, held, domains_of_org, self_service,
    )  # fmt: skip


def set_password(connection: Connection, user_id: int, password: str) -> None:
    """Stores the hash of a new password, and invalidates all earlier tokens."""
    connection.execute("UPDATE users SET password = ?, token_epoch = token_epoch + 1 WHERE id = ?", (password, user_id))


def change_password(connection: Connection, user_id: int, old: str | None, new: str, session_id: str | None) -> bool:
    """Replaces the hash, and invalidates all earlier tokens except that of the session.

    False when the stored hash is no longer the old one, because somebody else has changed it.
    """
    changed = connection.execute(
        """
        UPDATE users
           SET password = ?, token_epoch = token_epoch + 1, kept_session = ?,
               kept_epoch = token_epoch + 1 + coalesce((SELECT token_epoch FROM domains WHERE id = users.domain_id), 0)
         WHERE id = ? AND password IS NOT DISTINCT FROM ?
        """,
        (new, session_id, user_id, old),
    )
    return changed.rowcount > 0


def replace_hash(connection: Connection, user_id: int, old: str, new: str) -> None:
    """Stores another hash of the same password, unless the password was changed meanwhile."""
    connection.execute("UPDATE users SET password = ? WHERE id = ? AND password = ?", (new, user_id, old))
    # Nobody has changed the password.
    discard(cast(Writer, connection))


def ensure_administrator(connection: Connection, password: str | None) -> bool:
    """Creates user 0, `admin`, if it does not exist yet. Returns whether it was created."""
    made = connection.execute(
        "INSERT INTO users (id, username, password) VALUES (0, 'admin', ?) ON CONFLICT DO NOTHING RETURNING id",
        (password,),
    ).fetchall()
    if made:
        connection.execute(
            "INSERT INTO addresses (user_id, kind, address, key) VALUES (0, 'username', 'admin', 'admin')"
        )
    return bool(made)


#: The setting with the key that signs tokens, encrypted.
TOKEN_KEY: Final = "token_key"  # noqa: S105 - its name
#: The setting that selects the backend for logins.
AUTH_BACKEND: Final = "auth_backend"


async def select_setting(database: Database, name: str) -> str | None:
    """A stored setting, or None."""
    return await database.look_up_by(find_setting, name)


def find_setting(connection: Connection, name: str) -> str | None:
    """The same on a connection."""
    row = connection.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    return str(row[0]) if row else None


def set_setting(connection: Connection, name: str, value: str) -> None:
    """Stores a setting."""
    connection.execute(
        "INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def delete_setting(connection: Connection, name: str) -> None:
    """Removes a setting, if it exists."""
    connection.execute("DELETE FROM settings WHERE name = ?", (name,))


def ensure_token_key(connection: Connection) -> str:
    """The key that signs tokens; creates it if there is none yet. UnreadableSecretError."""
    if find_sealed_token_key(connection) is None:
        sealed.renew_token_key(connection)
    return find_token_key(connection)


def find_token_key(connection: Connection) -> str:
    """The key that signs tokens. UnreadableSecretError."""
    return _unsealed(connection, find_sealed_token_key(connection))


def _unsealed(connection: Connection, found: str | None) -> str:
    return sealed.unseal(connection, sealed.place_of("settings", "value", "token_key"), found or sealed.FORGOTTEN)


def find_new_token_key(connection: Connection, known: str | None) -> tuple[str | None, str] | None:
    """The key that signs tokens, encrypted and plain; None if the encrypted form is known. KeyFileError."""
    found = find_sealed_token_key(connection)
    if found == known:
        return None
    try:
        return found, _unsealed(connection, found)
    except UnreadableSecretError as error:
        raise KeyFileError(f"The key that signs tokens has changed, and cannot be read: {error}") from None


def find_sealed_token_key(connection: Connection) -> str | None:
    """The key that signs tokens in its stored, encrypted form; None if there is none yet."""
    return find_setting(connection, TOKEN_KEY)
