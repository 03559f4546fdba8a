"""Roles, their permissions, and who has them."""

import sqlite3
from collections.abc import Sequence

from postroom.storage.text import fold

LONGEST_NAME = 32


def insert_role(connection: sqlite3.Connection, name: str, description: str | None) -> int:
    """A new role without permissions; returns the ID."""
    (role_id,) = connection.execute(
        "INSERT INTO roles (name, key, description) VALUES (?, ?, ?) RETURNING id",
        (name, fold(name), description),
    ).fetchone()
    return int(role_id)


def insert_permission(
    connection: sqlite3.Connection,
    role_id: int,
    permission: str,
    *,
    domain_id: int | None = None,
    org_id: int | None = None,
    everything: bool = False,
) -> None:
    """Adds a permission to a role: about one domain, one organisation, everything, or nothing in particular."""
    connection.execute(
        "INSERT INTO role_permissions (role_id, permission, domain_id, org_id, everything) VALUES (?, ?, ?, ?, ?)",
        (role_id, permission, domain_id, org_id, everything),
    )


def set_user_roles(connection: sqlite3.Connection, user_id: int, role_ids: Sequence[int]) -> None:
    """Makes these the roles of a user."""
    connection.execute("DELETE FROM user_roles WHERE user_id = ?", (user_id,))
    connection.executemany(
        "INSERT INTO user_roles (user_id, role_id) VALUES (?, ?)",
        [(user_id, role_id) for role_id in role_ids],
    )


def is_name_taken(connection: sqlite3.Connection, name: str) -> bool:
    """Whether there is a role of that name, in any case."""
    return connection.execute("SELECT 1 FROM roles WHERE key = ?", (fold(name),)).fetchone() is not None


def free_name(connection: sqlite3.Connection, wanted: str) -> str:
    """A name for a new role: the wanted one, cut to LONGEST_NAME, with a number where it is taken."""
    name, number = wanted[:LONGEST_NAME], 1
    while is_name_taken(connection, name):
        number += 1
        suffix = f" {number}"
        name = wanted[: LONGEST_NAME - len(suffix)] + suffix
    return name
