"""Finds what records name: others are referred to by name, and have to be stored already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from postroom.app.auth.tokens import ADMIN_ID
from postroom.app.errors import InvalidError
from postroom.schemas.addresses import domain_of, parse_domain, stored_form
from postroom.schemas.roles import EVERYTHING
from postroom.schemas.values.users import STATUS_CONTACT
from postroom.storage.domains import find_domain_by_name, list_domains
from postroom.storage.engine import Connection
from postroom.storage.orgs import find_org_by_name
from postroom.storage.roles import find_role_by_name
from postroom.storage.usernames import find_id_by_username

JSON = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stored user is."""

    domain_id: int
    user_id: int


def find_place(connection: Connection, username: str) -> Place:
    """Where the user with a username with its domain is. Raises InvalidError."""
    domain_id = domain_named(connection, "username", domain_of(username))
    user_id = find_id_by_username(connection, domain_id, stored_form(username))
    if user_id is None:
        raise InvalidError.missing("username", "user", shown(username))
    return Place(domain_id, user_id)


def owner_of(connection: Connection, name: str) -> int:
    """The ID of `admin`, of a whole username, or of one without the domain that is not ambiguous."""
    if name == "admin":
        return ADMIN_ID
    if "@" in name:
        return find_place(connection, name).user_id
    found = [
        user_id
        for domain in list_domains(connection)
        if (user_id := find_id_by_username(connection, domain.id, stored_form(f"{name}@{domain.domainname}")))
    ]
    if len(found) != 1:
        raise InvalidError.field("owner", f"There is no user {shown(name)}, or there are several; say which.")
    return found[0]


def permissions_of(connection: Connection, given: Sequence[JSON]) -> list[JSON]:
    """Loaded permissions with IDs in place of names. Raises InvalidError."""
    return [
        {"permission": each["permission"], "params": _target(connection, number, each["target"])}
        for number, each in enumerate(given)
    ]


def _target(connection: Connection, number: int, name: str | None) -> int | str | None:
    if name is None or name == EVERYTHING:
        return name
    org_id = find_org_by_name(connection, name)
    if org_id is not None:
        return org_id
    domain = find_domain_by_name(connection, _in_ascii(name))
    if domain is None:
        raise InvalidError.missing(f"permissions.{number}", "domain or organisation", shown(name))
    return domain.id


def domain_of_user(connection: Connection, user: JSON) -> int:
    """The ID of the domain that a user names, or of the only one there is. Raises InvalidError."""
    if "domain" in user:
        return domain_named(connection, "domain", user["domain"])
    username = user.get("username", "")
    if "@" in username and user.get("status") != STATUS_CONTACT:
        return domain_named(connection, "username", domain_of(username))
    known = list_domains(connection)
    if len(known) != 1:
        raise InvalidError.field(
            "domain", f"Is needed, or a username such as anna@example.org: there are {len(known)} domains."
        )
    return known[0].id


def domain_named(connection: Connection, field: str, name: str) -> int:
    """The ID of the domain with a name in any spelling, which stands in this field. Raises InvalidError."""
    domain = find_domain_by_name(connection, _in_ascii(name))
    if domain is None:
        raise InvalidError.missing(field, "domain", shown(name))
    return domain.id


def _in_ascii(name: str) -> str:
    try:
        return parse_domain(name)[0]
    except ValueError:
        return name


def role_named(connection: Connection, name: str) -> int:
    """The ID of a role. Raises InvalidError."""
    role_id = find_role_by_name(connection, name)
    if role_id is None:
        raise InvalidError(f"There is no role {shown(name)}.")
    return role_id


def shown(name: str) -> str:
    """A name in a message."""
    return repr(name[:100])
