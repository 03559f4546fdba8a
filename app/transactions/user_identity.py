"""Changes of a user's identity: checks the actor's permissions and renames users."""

from collections.abc import Mapping
from typing import Any

import orjson

from postroom.app.errors import InvalidError
from postroom.app.transactions import authority, names, tenants
from postroom.app.transactions.authority import Actor
from postroom.schemas.values.text import fold
from postroom.schemas.values.users import STATUS_CONTACT
from postroom.storage import users
from postroom.storage.domains import DomainRow
from postroom.storage.engine import Connection
from postroom.storage.users import UserRow

#: The fields of a request that change a user's identity.
_IDENTITY = ("username", "aliases", "altnames", "status", "ldapID")


def check_authority(
    connection: Connection, user: UserRow, domain: DomainRow, data: Mapping[str, Any], actor: Actor
) -> None:
    given = [name for name in _IDENTITY if name in data]
    if not given or authority.may_change(connection, actor, user.id):
        return
    # A client may send back the whole user to change a telephone number: unchanged fields are allowed.
    current = orjson.loads(users.read_user(connection, user.id))
    for name in given:
        if _identity(name, data[name], domain) != _identity(name, current[name], domain):
            raise authority.refusal(user.username, "change their names, their status or their link to LDAP")


def _identity(name: str, value: Any, domain: DomainRow) -> Any:
    """The value of an identity field in a form that compares equal when a client sends back what it has read."""
    if name == "username":
        return value if "@" in value else f"{value}@{domain.domainname}"
    if name == "altnames":
        return [entry["altname"] for entry in value or ()]
    return value or [] if name == "aliases" else value


def check_names_of(
    connection: Connection, user: UserRow, domain: DomainRow, data: Mapping[str, Any], actor: Actor
) -> None:
    if not data.get("aliases") and not data.get("altnames"):
        return
    allowed = tenants.may_have(connection, domain.domainname, actor)
    if data.get("aliases"):
        tenants.check_names("aliases", data["aliases"], names.list_own(connection, user), allowed)
    if data.get("altnames"):
        known = [name for name, _ in users.list_addresses(connection, user.id, "altname")]
        tenants.check_names("altnames", [entry["altname"] for entry in data["altnames"]], known, allowed)


def change_addresses(
    connection: Connection, user: UserRow, domain: DomainRow, data: Mapping[str, Any]
) -> tuple[UserRow, list[str]]:
    """Changes username and aliases; returns the user, and the addresses that are lost."""
    former = names.list_own(connection, user)
    # Delete aliases first and insert them last: a name can move between alias and username in one request.
    if "aliases" in data:
        users.replace_addresses(connection, user.id, "alias", ())
    if "username" in data:
        user = _rename(connection, user, domain, data["username"])
    if "aliases" in data:
        names.add_aliases(connection, user, data["aliases"] or ())
    return user, names.follow(connection, user, former)


def _rename(connection: Connection, user: UserRow, domain: DomainRow, given: str) -> UserRow:
    if user.status == STATUS_CONTACT:
        if fold(given) != user.username:
            raise InvalidError.field("username", "A contact has none of its own; change the property smtpaddress.")
        return user
    username = names.parse_username(given, domain)
    if username == user.username:
        return user
    names.check_username(connection, username, user.id)
    if any(fold(address) == fold(username) for address, _ in users.list_addresses(connection, user.id, "alias")):
        raise InvalidError.field("username", f"{username} is an alias of this user; remove that first.")
    return names.rename(connection, user, username)
