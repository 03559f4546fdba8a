"""The stored data of users that an update from the directory needs."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from postroom.schemas.values.proptags import Value
from postroom.schemas.values.text import fold
from postroom.storage.engine import Connection
from postroom.storage.spelling import NUMBERS, TEXTS, pair


@dataclass(frozen=True, slots=True)
class StoredUser:
    """A user with all data that a directory may change; `properties` is tag -> value."""

    id: int
    domain_id: int
    username: str
    status: int
    lang: str
    ldap_id: str | None
    aliases: tuple[str, ...] = ()
    #: (name, origin: see MAGIC_LDAP)
    altnames: tuple[tuple[str, int], ...] = ()
    properties: Mapping[int, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Linked:
    """A user who is linked to an object of the directory."""

    id: int
    domain_id: int
    username: str
    ldap_id: str
    status: int


_VALUE = pair(
    "CASE WHEN multi THEN json(value) ELSE value END",
    "CASE WHEN multi <> 0 OR kind IN ('integer', 'boolean') THEN CAST(value AS json) ELSE to_json(value) END",
)
_SELECT = f"""
    SELECT u.id, u.domain_id, u.username, u.status, u.lang, u.ldap_id,
           (SELECT json_group_array(json_array(kind, address, magic))
              FROM (SELECT kind, address, magic FROM addresses
                     WHERE user_id = u.id AND kind <> 'username' ORDER BY id)),
           (SELECT json_group_object(tag, {_VALUE})
              FROM properties WHERE user_id = u.id)
      FROM users u
"""


def find_stored_user(connection: Connection, user_id: int) -> StoredUser | None:
    """The user, or None."""
    row = connection.execute(f"{_SELECT} WHERE u.id = ?", (user_id,)).fetchone()
    return _stored(row) if row else None


def list_linked(
    connection: Connection, object_ids: Collection[str], domain_ids: Collection[int]
) -> dict[str, list[StoredUser]]:
    """Object ID -> the users of these domains that are linked to it. IDs without users are left out."""
    rows = connection.execute(
        f"""{_SELECT} WHERE u.ldap_id IN {TEXTS}
                        AND u.domain_id IN {NUMBERS} ORDER BY u.id""",
        (json.dumps(list(object_ids)), json.dumps(list(domain_ids))),
    )
    found: dict[str, list[StoredUser]] = {}
    for row in rows:
        user = _stored(row)
        found.setdefault(user.ldap_id or "", []).append(user)
    return found


def list_owners(connection: Connection, names: Iterable[str]) -> dict[str, list[tuple[str, int]]]:
    """Folded name -> (kind, user ID) of its owners. Names without owners are left out."""
    rows = connection.execute(
        # The username of a contact reserves no name.
        f"""
        SELECT a.key, a.kind, a.user_id
          FROM addresses a
          JOIN users u ON u.id = a.user_id
         WHERE a.key IN {TEXTS} AND NOT (a.kind = 'username' AND u.status = 5)
        """,
        (json.dumps([fold(name) for name in names]),),
    )
    found: dict[str, list[tuple[str, int]]] = {}
    for key, kind, user_id in rows:
        found.setdefault(key, []).append((kind, user_id))
    return found


def list_linked_after(connection: Connection, domain_ids: Collection[int], user_id: int, limit: int) -> list[Linked]:
    """The next linked users of these domains, by ID, after `user_id`."""
    rows = connection.execute(
        f"""
        SELECT id, domain_id, username, ldap_id, status
          FROM users
         WHERE id > ? AND ldap_id IS NOT NULL AND domain_id IN {NUMBERS}
         ORDER BY id
         LIMIT ?
        """,
        (user_id, json.dumps(list(domain_ids)), limit),
    )
    return [Linked(*row) for row in rows]


def list_unseen(
    connection: Connection, task_id: int, domain_ids: Collection[int], user_id: int, limit: int
) -> list[Linked]:
    """Like list_linked_after, but only users whose object has no item in a task."""
    rows = connection.execute(
        f"""
        SELECT u.id, u.domain_id, u.username, u.ldap_id, u.status
          FROM users u
         WHERE u.id > ? AND u.ldap_id IS NOT NULL AND u.domain_id IN {NUMBERS}
           AND NOT EXISTS (SELECT 1 FROM task_items i
                            WHERE i.task_id = ? AND i.object_id = u.ldap_id AND i.domain_id = u.domain_id)
         ORDER BY u.id
         LIMIT ?
        """,
        (user_id, json.dumps(list(domain_ids)), task_id, limit),
    )
    return [Linked(*row) for row in rows]


def count_linked(connection: Connection, domain_ids: Collection[int]) -> dict[int, int]:
    """Domain -> number of its linked users. Domains without any are left out."""
    rows = connection.execute(
        f"""
        SELECT domain_id, count(*)
          FROM users
         WHERE ldap_id IS NOT NULL AND domain_id IN {NUMBERS}
         GROUP BY domain_id
        """,
        (json.dumps(list(domain_ids)),),
    )
    return dict(rows.fetchall())


def list_texts(connection: Connection, user_ids: Collection[int], tag: int) -> dict[int, str]:
    """User ID -> value of a text property. Users without it are left out."""
    rows = connection.execute(
        f"SELECT user_id, value FROM properties WHERE tag = ? AND user_id IN {NUMBERS}",
        (tag, json.dumps(list(user_ids))),
    )
    return dict(rows.fetchall())


def _stored(row: tuple[Any, ...]) -> StoredUser:
    user_id, domain_id, username, status, lang, ldap_id, names_json, properties_json = row
    names: list[tuple[str, str, int]] = json.loads(names_json)
    properties: dict[str, Value] = json.loads(properties_json)
    return StoredUser(
        user_id,
        domain_id,
        username,
        status,
        lang,
        ldap_id,
        aliases=tuple(address for kind, address, _ in names if kind == "alias"),
        altnames=tuple((address, magic) for kind, address, magic in names if kind == "altname"),
        properties={int(tag): value for tag, value in properties.items()},
    )
