"""The holders of roles."""

import json
from collections.abc import Sequence

from postroom.storage.engine import Connection
from postroom.storage.roles import PermissionRow
from postroom.storage.spelling import NUMBERS


def set_role_users(connection: Connection, role_id: int, user_ids: Sequence[int]) -> None:
    """Replaces the holders of a role."""
    connection.executemany(
        "INSERT INTO user_roles (user_id, role_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
        [(each, role_id) for each in user_ids],
    )
    # Delete last, and only what has to go: losing the last role, even for a moment, ends a user's logins.
    connection.execute(
        f"DELETE FROM user_roles WHERE role_id = ? AND user_id NOT IN {NUMBERS}",
        (role_id, json.dumps(list(user_ids))),
    )


def set_user_roles(connection: Connection, user_id: int, role_ids: Sequence[int]) -> None:
    """Replaces the roles of a user."""
    connection.executemany(
        "INSERT INTO user_roles (user_id, role_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
        [(user_id, role_id) for role_id in role_ids],
    )
    # Delete last, for the same reason.
    connection.execute(
        f"DELETE FROM user_roles WHERE user_id = ? AND role_id NOT IN {NUMBERS}",
        (user_id, json.dumps(list(role_ids))),
    )


def list_held_in(connection: Connection, domain_id: int) -> list[tuple[str, list[PermissionRow]]]:
    """For each role with holders in the domain: the username of one of them, and the permissions of the role."""
    held = connection.execute(
        """
        SELECT id, username
          FROM (SELECT r.id, (SELECT u.username
                                FROM user_roles x
                                JOIN users u ON u.id = x.user_id
                               WHERE x.role_id = r.id AND u.domain_id = ?
                               LIMIT 1) AS username
                  FROM roles r)
         WHERE username IS NOT NULL
        """,
        (domain_id,),
    )
    return [(username, _list_permissions(connection, role_id)) for role_id, username in held.fetchall()]


def _list_permissions(connection: Connection, role_id: int) -> list[PermissionRow]:
    rows = connection.execute(
        "SELECT permission, domain_id, org_id, everything FROM role_permissions WHERE role_id = ?", (role_id,)
    )
    return [PermissionRow(name, domain_id, org_id, bool(everything)) for name, domain_id, org_id, everything in rows]


def read_user_roles(connection: Connection, user_id: int) -> bytes:
    """The response `{"data": [{"ID", "name"}, ...]}` as JSON, inside a transaction."""
    found: bytes = connection.execute(
        """
        SELECT CAST(json_object('data', json((
                   SELECT json_group_array(json_object('ID', id, 'name', name))
                     FROM (SELECT r.id, r.name
                             FROM user_roles x
                             JOIN roles r ON r.id = x.role_id
                            WHERE x.user_id = ?
                            ORDER BY r.id)))) AS BLOB)
        """,
        (user_id,),
    ).fetchone()[0]
    return found
