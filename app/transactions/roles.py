"""The rules of roles; each function is one transaction.

The callers have the permission SystemAdmin, which includes everything that a role can grant.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from postroom.app.auth.permissions import PERMISSIONS
from postroom.app.auth.tokens import ADMIN_ID
from postroom.app.errors import InvalidError
from postroom.app.transactions.lookups import find_user_or_raise
from postroom.app.transactions.named import ROLE, check_changes, check_exists, check_new
from postroom.app.transactions.versions import Expected, check_match
from postroom.schemas.roles import EVERYTHING
from postroom.storage import domains, orgs, role_holders, roles, users
from postroom.storage.engine import Connection
from postroom.storage.roles import PermissionRow


def create_role(connection: Connection, data: Mapping[str, Any], made_for: int | None = None) -> bytes:
    """Creates a role from a loaded RoleCreateSchema; returns its document. Raises InvalidError.

    `made_for`: purging this domain removes the role, too.
    """
    check_new(connection, ROLE, data)
    role_id = roles.insert_role(connection, data["name"], data.get("description"), made_for=made_for)
    _set_lists(connection, role_id, data)
    return roles.read_role(connection, role_id)


def patch_role(connection: Connection, role_id: int, data: Mapping[str, Any], allowed: Expected = None) -> bytes:
    """Changes the fields given; returns the document. Raises NotFoundError, InvalidError, PreconditionFailedError."""
    check_changes(connection, ROLE, role_id, data)
    check_match(allowed, roles.read_role(connection, role_id))
    roles.update_role(connection, role_id, data)
    _set_lists(connection, role_id, data)
    return roles.read_role(connection, role_id)


def delete_role(connection: Connection, role_id: int) -> None:
    """Removes a role. Its holders lose its permissions at once. Raises NotFoundError."""
    check_exists(connection, ROLE, role_id)
    roles.delete_role(connection, role_id)


def set_roles_of_user(
    connection: Connection, domain_id: int, user_id: int, role_ids: Sequence[int] | None, allowed: Expected
) -> bytes:
    """Replaces the roles of a user of the domain (None: no change); returns `{"data": [{"ID", "name"}]}`.

    Raises NotFoundError, PreconditionFailedError, InvalidError.
    """
    find_user_or_raise(connection, domain_id, user_id)
    if allowed is not None:
        check_match(allowed, users.read_user(connection, user_id))
    if role_ids is not None:
        for role_id in role_ids:
            if not roles.is_role(connection, role_id):
                raise InvalidError.missing("roles", "role", role_id)
        role_holders.set_user_roles(connection, user_id, role_ids)
    return role_holders.read_user_roles(connection, user_id)


def _set_lists(connection: Connection, role_id: int, data: Mapping[str, Any]) -> None:
    if "permissions" in data:
        rows = [read_permission(number, given) for number, given in enumerate(data["permissions"])]
        for number, row in enumerate(rows):
            check_target(connection, number, row)
        roles.replace_permissions(connection, role_id, rows)
    if "users" in data:
        for user_id in data["users"]:
            # The administrator has no roles and needs none.
            if user_id == ADMIN_ID or not users.is_user(connection, user_id):
                raise InvalidError.field("users", f"There is no user {user_id} who could have a role.")
        role_holders.set_role_users(connection, role_id, data["users"])


def read_permission(number: int, given: Mapping[str, Any]) -> PermissionRow:
    """A permission of a loaded list, in which it has this number. Does not look for its target. Raises InvalidError."""
    name, target = given["permission"], given["params"]
    field = f"permissions.{number}"
    if name not in PERMISSIONS:
        raise InvalidError.missing(f"{field}.permission", "permission", repr(name))
    about = PERMISSIONS[name]
    if about is None:
        if target is not None:
            raise InvalidError.field(f"{field}.params", f"{name} has no domain or organisation; null is needed.")
        return PermissionRow(name)
    if target == EVERYTHING:
        return PermissionRow(name, everything=True)
    if target is None:
        thing = "domain" if about == "domain" else "organisation"
        raise InvalidError.field(f"{field}.params", f'{name} needs the ID of one {thing}, or "*" for all.')
    return PermissionRow(name, domain_id=target) if about == "domain" else PermissionRow(name, org_id=target)


def check_target(connection: Connection, number: int, row: PermissionRow) -> None:
    """Raises InvalidError when the domain or organisation of a permission does not exist."""
    field = f"permissions.{number}.params"
    if row.domain_id is not None and domains.find_domain(connection, row.domain_id) is None:
        raise InvalidError.missing(field, "domain", row.domain_id)
    if row.org_id is not None and not orgs.is_org(connection, row.org_id):
        raise InvalidError.missing(field, "organisation", row.org_id)
