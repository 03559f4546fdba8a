"""Roles and their permissions: JSON documents for responses, rows for transactions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from postroom.schemas.values.queries import RoleQuery
from postroom.schemas.values.roles import LONGEST_NAME
from postroom.schemas.values.text import fold
from postroom.storage.database import Database
from postroom.storage.engine import Connection
from postroom.storage.lists import list_statement

#: Field -> SQL expression to sort by.
SORT_COLUMNS = {"ID": "r.id", "name": "r.key", "description": "r.description"}

_PERMISSIONS = """
    SELECT json_group_array(json_object(
               'ID', p.id,
               'permission', p.permission,
               'params', iif(p.everything <> 0, json('"*"'), json(coalesce(p.domain_id, p.org_id)))))
      FROM (SELECT * FROM role_permissions WHERE role_id = r.id ORDER BY id) p
"""
_USERS = """
    SELECT json_group_array(json_object('ID', u.id, 'username', u.username))
      FROM (SELECT u.id, u.username
              FROM user_roles x
              JOIN users u ON u.id = x.user_id
             WHERE x.role_id = r.id
             ORDER BY u.id) u
"""
_LEVELS = (
    ["'ID', r.id", "'name', r.name"],
    ["'description', r.description", f"'permissions', json(({_PERMISSIONS}))"],
    [f"'users', json(({_USERS}))"],
)


@dataclass(frozen=True, slots=True)
class PermissionRow:
    """A permission of a role. Its target is a domain, an organisation, everything, or (all unset) nothing."""

    permission: str
    domain_id: int | None = None
    org_id: int | None = None
    everything: bool = False


def _document(level: int) -> str:
    return f"json_object({', '.join(member for part in _LEVELS[: level + 1] for member in part)})"


async def select_roles(database: Database, query: RoleQuery, *, caller: int) -> bytes:
    """The response `{"count", "data"}` as JSON."""
    found: bytes = await database.search(
        caller, *list_statement("roles r", query, _document(query.level), SORT_COLUMNS)
    )
    return found


async def select_role(database: Database, role_id: int, level: int, *, caller: int) -> bytes | None:
    """A role's JSON document, or None."""
    found: bytes | None = await database.search(
        caller, f"SELECT CAST({_document(level)} AS BLOB) FROM roles r WHERE r.id = ?", (role_id,)
    )
    return found


def read_role(connection: Connection, role_id: int) -> bytes:
    """The document of level 2, inside a transaction."""
    sql = f"SELECT CAST({_document(2)} AS BLOB) FROM roles r WHERE r.id = ?"
    found: bytes = connection.execute(sql, (role_id,)).fetchone()[0]
    return found


def is_role(connection: Connection, role_id: int) -> bool:
    """Whether the role exists."""
    return connection.execute("SELECT 1 FROM roles WHERE id = ?", (role_id,)).fetchone() is not None


def insert_role(connection: Connection, name: str, description: str | None, *, made_for: int | None = None) -> int:
    """Adds a role without permissions; returns the ID. `made_for`: purging this domain removes the role, too."""
    (role_id,) = connection.execute(
        "INSERT INTO roles (name, key, description, made_for) VALUES (?, ?, ?, ?) RETURNING id",
        (name, fold(name), description, made_for),
    ).fetchone()
    return int(role_id)


def update_role(connection: Connection, role_id: int, fields: Mapping[str, str | None]) -> None:
    """Sets the name, the description, or both."""
    if "name" in fields:
        name = fields["name"] or ""
        connection.execute("UPDATE roles SET name = ?, key = ? WHERE id = ?", (name, fold(name), role_id))
    if "description" in fields:
        connection.execute("UPDATE roles SET description = ? WHERE id = ?", (fields["description"], role_id))


def delete_role(connection: Connection, role_id: int) -> None:
    """Removes a role. Its holders lose it."""
    connection.execute("DELETE FROM roles WHERE id = ?", (role_id,))


def delete_role_made_for(connection: Connection, domain_id: int) -> None:
    """Removes the role that was made for a domain, unless it has permissions for anything else by now."""
    connection.execute(
        """
        DELETE FROM roles
         WHERE made_for = ?
           AND NOT EXISTS (SELECT 1 FROM role_permissions WHERE role_id = roles.id AND domain_id IS DISTINCT FROM ?)
        """,
        (domain_id, domain_id),
    )


def insert_permission(
    connection: Connection,
    role_id: int,
    permission: str,
    *,
    domain_id: int | None = None,
    org_id: int | None = None,
    everything: bool = False,
) -> None:
    """Adds a permission to a role, for one domain, one organisation, everything, or without a target."""
    connection.execute(
        "INSERT INTO role_permissions (role_id, permission, domain_id, org_id, everything) VALUES (?, ?, ?, ?, ?)",
        (role_id, permission, domain_id, org_id, everything),
    )


def replace_permissions(connection: Connection, role_id: int, permissions: Sequence[PermissionRow]) -> None:
    """Replaces the permissions of a role, without duplicates. Those that stay keep their IDs."""
    wanted = dict.fromkeys(permissions)
    held: set[PermissionRow] = set()
    for number, name, domain_id, org_id, everything in connection.execute(
        "SELECT id, permission, domain_id, org_id, everything FROM role_permissions WHERE role_id = ?", (role_id,)
    ).fetchall():
        row = PermissionRow(name, domain_id, org_id, bool(everything))
        if row in wanted:
            held.add(row)
        else:
            connection.execute("DELETE FROM role_permissions WHERE id = ?", (number,))
    for row in wanted:
        if row not in held:
            insert_permission(
                connection,
                role_id,
                row.permission,
                domain_id=row.domain_id,
                org_id=row.org_id,
                everything=row.everything,
            )


def is_name_taken(connection: Connection, name: str, role_id: int | None = None) -> bool:
    """Whether another role than this one (None: a new one) has the name, in any case."""
    sql = "SELECT 1 FROM roles WHERE key = ? AND id IS DISTINCT FROM ?"
    return connection.execute(sql, (fold(name), role_id)).fetchone() is not None


def find_role_by_name(connection: Connection, name: str) -> int | None:
    """The ID of the role with that name, in any case, or None."""
    row = connection.execute("SELECT id FROM roles WHERE key = ?", (fold(name),)).fetchone()
    return int(row[0]) if row else None


def free_name(connection: Connection, wanted: str) -> str:
    """A name for a new role: the wanted one, truncated to LONGEST_NAME, with a number if it is taken."""
    name, number = wanted[:LONGEST_NAME], 1
    while is_name_taken(connection, name):
        number += 1
        suffix = f" {number}"
        name = wanted[: LONGEST_NAME - len(suffix)] + suffix
    return name
