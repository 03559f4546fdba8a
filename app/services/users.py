"""The rules of users. Each function is one transaction: it runs on the writer, all of it or nothing."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from postroom.app.errors import InvalidError, NotFoundError
from postroom.app.services import fetchmail
from postroom.app.tokens import ADMIN_ID
from postroom.schemas.addresses import domain_of, normalise_address
from postroom.schemas.users import READ_ONLY, STATUS_CONTACT, STATUS_NORMAL
from postroom.storage import domains, proptags, users
from postroom.storage.domains import DomainRow
from postroom.storage.properties import Value, delete_property, set_property
from postroom.storage.proptags import PropTag
from postroom.storage.text import fold
from postroom.storage.users import UserRow

#: displaytypeex ([MS-OXOAB] 2.2.3.12): a mail user, a remote mail user.
DISPLAY_MAILBOX, DISPLAY_CONTACT = 0, 6

MAGIC_MANUAL, MAGIC_LDAP = 0, 99


@dataclass(frozen=True, slots=True)
class Change:
    """Who changes a user, and when: `homeserver` counts only from a SystemAdmin, `now` stamps what is written."""

    system_admin: bool
    now: str


def find_user_or_raise(connection: sqlite3.Connection, domain_id: int, user_id: int) -> UserRow:
    """The user of the domain in the path. Raises NotFoundError."""
    user = users.find_user(connection, domain_id, user_id)
    if user is None:
        raise user_not_found(domain_id, user_id)
    return user


def user_not_found(domain_id: int, user_id: int) -> NotFoundError:
    """The one text for a user that is not in the domain of the path."""
    return NotFoundError(f"There is no user {user_id} in domain {domain_id}")


def find_domain_or_raise(connection: sqlite3.Connection, domain_id: int) -> DomainRow:
    """The domain. Raises NotFoundError."""
    domain = domains.find_domain(connection, domain_id)
    if domain is None:
        raise NotFoundError(f"There is no domain {domain_id}")
    return domain


def create_user(
    connection: sqlite3.Connection,
    domain_id: int,
    data: Mapping[str, Any],
    password: str | None,
    change: Change,
) -> bytes:
    """Creates a user from a loaded UserCreateSchema and the password's hash; returns the new user's document.

    Raises NotFoundError (domain), InvalidError (any rule).
    """
    domain = find_domain_or_raise(connection, domain_id)
    if data.get("domainID", domain_id) != domain_id:
        raise InvalidError.field("domainID", "Is not the domain of the path.")
    if domain.domain_status == 3:
        raise InvalidError(f"The domain {domain.domainname} is deleted")
    status = data.get("status", STATUS_NORMAL)
    properties: dict[PropTag, Value | None] = {
        _proptag("creationtime"): change.now,
        _proptag("displaytypeex"): DISPLAY_CONTACT if status == STATUS_CONTACT else DISPLAY_MAILBOX,
    }
    if status == STATUS_CONTACT:
        username, properties[_proptag("smtpaddress")] = _contact_names(connection, domain, data["username"])
    else:
        username = parse_username(data["username"], domain)
    if status == STATUS_NORMAL:
        _check_limit(domain)
    _check_username(connection, username, None)
    user_id = users.insert_user(connection, domain_id, username, password)
    user = UserRow(user_id, domain_id, username, STATUS_NORMAL, None, "", domain.org_id)
    given = {name: value for name, value in data.items() if name not in ("username", "domainID", "password")}
    given["properties"] = properties | data.get("properties", {})
    _apply(connection, user, domain, given, change)
    return users.read_user(connection, user_id)


def patch_user(
    connection: sqlite3.Connection, domain_id: int, user_id: int, data: Mapping[str, Any], change: Change
) -> bytes:
    """Changes the fields given (a loaded UserPatchSchema) and nothing else; returns the user's document.

    Raises NotFoundError, InvalidError.
    """
    user = find_user_or_raise(connection, domain_id, user_id)
    domain = find_domain_or_raise(connection, domain_id)
    if any(name in data for name in READ_ONLY):
        _check_read_only(orjson.loads(users.read_user(connection, user_id)), data)
    status = data.get("status", user.status)
    if (status == STATUS_CONTACT) != (user.status == STATUS_CONTACT):
        raise InvalidError.field("status", "A contact cannot become a mailbox, nor a mailbox a contact.")
    if status == STATUS_NORMAL and user.status != STATUS_NORMAL:
        _check_limit(domain)
    if data.get("ldapID") not in (None, user.ldap_id):
        raise InvalidError.field("ldapID", "Can only be removed here; an update from LDAP sets it.")
    _apply(connection, user, domain, data, change)
    return users.read_user(connection, user_id)


def delete_user(connection: sqlite3.Connection, domain_id: int, user_id: int) -> str:
    """Removes a user and every row that refers to them; returns the username. ID 0 is an InvalidError."""
    if user_id == ADMIN_ID:
        raise InvalidError("The system administrator cannot be deleted")
    user = find_user_or_raise(connection, domain_id, user_id)
    users.delete_user(connection, user_id)
    return user.username


def parse_username(text: str, domain: DomainRow) -> str:
    """The stored form of a username given as local part or as address in that very domain. Raises InvalidError."""
    address = text if "@" in text else f"{text}@{domain.domainname}"
    try:
        username = normalise_address(address)
    except ValueError as error:
        raise InvalidError.field("username", f"{text[:100]!r} is no valid address: {error}") from None
    if domain_of(username) != domain.domainname:
        raise InvalidError.field("username", f"{text[:100]!r} is not in the domain {domain.domainname}.")
    return username


def check_alias_domain(connection: sqlite3.Connection, domain: DomainRow, name: str) -> bool:
    """Whether users of `domain` may have aliases in the domain called `name`: itself, or one of its organisation."""
    if name == domain.domainname:
        return True
    other = domains.find_domain_by_name(connection, name)
    return other is not None and other.org_id is not None and other.org_id == domain.org_id


def set_properties(connection: sqlite3.Connection, user_id: int, properties: Mapping[PropTag, Value | None]) -> None:
    """Writes properties; None removes one, whether it is there or not."""
    for proptag, value in properties.items():
        if value is None:
            delete_property(connection, user_id, proptag.tag)
        else:
            set_property(connection, user_id, proptag, value)


def set_aliases(connection: sqlite3.Connection, user: UserRow, domain: DomainRow, aliases: Sequence[str]) -> None:
    """Replaces the aliases. Raises InvalidError naming the one that is given twice, foreign, or somebody's."""
    users.replace_addresses(connection, user.id, "alias", ())
    seen: set[str] = set()
    for alias in aliases:
        if fold(alias) in seen:
            raise InvalidError.field("aliases", f"{alias} is given twice.")
        seen.add(fold(alias))
        if not check_alias_domain(connection, domain, domain_of(alias)):
            raise InvalidError.field("aliases", f"{alias} is not in a domain of this organisation.")
        if fold(alias) == fold(user.username) or users.is_address_taken(connection, alias, user.id):
            raise InvalidError.field("aliases", f"{alias} is in use already.")
        users.insert_address(connection, user.id, "alias", alias)


def set_altnames(connection: sqlite3.Connection, user: UserRow, altnames: Sequence[tuple[str, int | None]]) -> None:
    """Replaces the altnames by (name, magic); None keeps where a known one came from. Raises InvalidError."""
    known = {fold(name): magic for name, magic in users.list_addresses(connection, user.id, "altname")}
    users.replace_addresses(connection, user.id, "altname", ())
    seen: set[str] = set()
    for altname, magic in altnames:
        key = fold(altname)
        if key in seen:
            raise InvalidError.field("altnames", f"{altname} is given twice.")
        seen.add(key)
        if altname != altname.strip() or any(character.isspace() for character in altname):
            raise InvalidError.field("altnames", f"{altname!r} holds white space.")
        if users.is_altname_taken(connection, altname, user.id):
            raise InvalidError.field("altnames", f"{altname} is in use already.")
        origin = known.get(key, MAGIC_MANUAL) if magic is None else magic
        users.insert_address(connection, user.id, "altname", altname, origin)


def _apply(
    connection: sqlite3.Connection, user: UserRow, domain: DomainRow, data: Mapping[str, Any], change: Change
) -> None:
    fields = {name: value for name, value in data.items() if name in users.COLUMNS}
    if "lang" in fields:
        fields["lang"] = fields["lang"] or ""
    if fields.get("syncPolicy") is not None:
        fields["syncPolicy"] = orjson.dumps(fields["syncPolicy"]).decode()
    users.update_fields(connection, user.id, fields)
    if change.system_admin and data.get("homeserver") is not None:
        raise InvalidError.field("homeserver", "There are no other servers; only null is possible.")
    # Aliases go first and come last, so that a name can move between alias and username in one request.
    if "aliases" in data:
        users.replace_addresses(connection, user.id, "alias", ())
    former_username = user.username
    user = _rename(connection, user, domain, data)
    if "aliases" in data:
        set_aliases(connection, user, domain, data["aliases"] or ())
    if "altnames" in data:
        set_altnames(connection, user, [(entry["altname"], None) for entry in data["altnames"] or ()])
    if "forward" in data:
        users.set_forward(connection, user.id, data["forward"])
    if "fetchmail" in data:
        fetchmail.replace(connection, user, former_username, data["fetchmail"] or (), change.now)
    set_properties(connection, user.id, data.get("properties", {}))


def _rename(connection: sqlite3.Connection, user: UserRow, domain: DomainRow, data: Mapping[str, Any]) -> UserRow:
    if "username" not in data:
        return user
    username = parse_username(data["username"], domain)
    if username == user.username:
        return user
    if user.status == STATUS_CONTACT:
        raise InvalidError.field("username", "A contact has none of its own; change the property smtpaddress.")
    _check_username(connection, username, user.id)
    if any(address == username for address, _ in users.list_addresses(connection, user.id, "alias")):
        raise InvalidError.field("username", f"{username} is an alias of this user; remove that first.")
    users.update_username(connection, user.id, username)
    fetchmail.rename(connection, user.id, user.username, username)
    return UserRow(user.id, user.domain_id, username, user.status, user.ldap_id, user.lang, user.org_id)


def _check_username(connection: sqlite3.Connection, username: str, user_id: int | None) -> None:
    if users.is_address_taken(connection, username, user_id) or users.is_username_an_altname(
        connection, username, user_id
    ):
        raise InvalidError.field("username", f"{username} is in use already.")


def _check_limit(domain: DomainRow) -> None:
    # Inside the writer's transaction, so two creations at the same time cannot both take the last place.
    if domain.active_users >= domain.max_user:
        raise InvalidError(f"The domain {domain.domainname} has reached its limit of {domain.max_user} users")


def _contact_names(connection: sqlite3.Connection, domain: DomainRow, given: str) -> tuple[str, str]:
    """(the username of the contact to come, its own address, in whatever domain that is)."""
    try:
        address = normalise_address(given)
    except ValueError as error:
        raise InvalidError.field("username", f"{given[:100]!r} is no valid address: {error}") from None
    return f"contact-{users.next_user_id(connection)}@{domain.domainname}", address


def _check_read_only(current: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    for name in READ_ONLY:
        if name in data and data[name] != current[name]:
            raise InvalidError.field(name, "Cannot be changed here; leave it out or send it back as it was.")


def _proptag(name: str) -> PropTag:
    proptag = proptags.find(name)
    if proptag is None:  # pragma: no cover - the names above are in the table
        raise LookupError(name)
    return proptag
