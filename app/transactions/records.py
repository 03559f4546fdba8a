"""Stores one organisation, domain, role, user or token that refers to others by name, as seeds and imports have them.

The rules are those of the single operations. Whatever a record names has to be stored already.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

import orjson

from postroom.app.auth.tokens import ADMIN_ID
from postroom.app.directory.object_id import parse_object_id
from postroom.app.errors import InvalidError
from postroom.app.transactions import api_tokens, delegates, devices, domains, oof, orgs, roles, store_access, users
from postroom.app.transactions.api_tokens import Wanted
from postroom.app.transactions.devices import Origin
from postroom.app.transactions.users import Change
from postroom.app.transactions.wipe import UNKNOWN, Event, Kind
from postroom.schemas.addresses import domain_of, parse_domain, stored_form
from postroom.schemas.roles import EVERYTHING
from postroom.schemas.values.users import STATUS_CONTACT
from postroom.storage.domains import find_domain_by_name, list_domains
from postroom.storage.engine import Connection
from postroom.storage.grants import DELEGATE, SENDAS
from postroom.storage.orgs import find_org_by_name
from postroom.storage.roles import find_role_by_name
from postroom.storage.usernames import find_id_by_username

JSON = Mapping[str, Any]

#: Fields of a domain in a record that are not fields of a new domain.
_BESIDE_DOMAIN = ("organisation", "disabledPlugins", "domainStatus")
#: Fields of a user in a record that are not fields of a new user.
_BESIDE_USER = ("domain", "roles", "oof", "delegates", "sendas", "storeAccess", "devices", "passwordHash")


@dataclass(frozen=True, slots=True)
class Moment:
    """When records are stored."""

    #: In the format of the API.
    now: str
    timezone: tzinfo
    #: UNIX time: of the first contact of devices that name none, and when tokens were made.
    unix: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stored user is."""

    domain_id: int
    user_id: int


def add_organisation(connection: Connection, org: JSON) -> int:
    """Stores an organisation, a loaded SeedOrgSchema; returns its ID. Raises InvalidError."""
    return _id(orgs.create_org(connection, org))


def add_domain(connection: Connection, domain: JSON) -> int:
    """Stores a domain, a loaded SeedDomainSchema, but for its status; returns its ID. Raises InvalidError."""
    fields = {name: value for name, value in domain.items() if name not in _BESIDE_DOMAIN}
    if "organisation" in domain:
        org_id = find_org_by_name(connection, domain["organisation"])
        if org_id is None:
            raise InvalidError.missing("organisation", "organisation", _shown(domain["organisation"]))
        fields["orgID"] = org_id
    domain_id = _id(domains.create_domain(connection, fields, False))
    if domain.get("disabledPlugins"):
        domains.replace_disabled_plugins(connection, domain_id, domain["disabledPlugins"])
    return domain_id


def set_of_domain(connection: Connection, domainname: str, field: str, value: int) -> None:
    """Sets what a domain can only have once its users are there, such as `domainStatus`: in a deleted one nobody can be
    created.
    """
    domain_id = _find_domain(connection, "domainname", domainname)
    domains.patch_domain(connection, domain_id, {field: value}, True, None)


def add_role(connection: Connection, role: JSON) -> int:
    """Stores a role, a loaded SeedRoleSchema; returns its ID. Raises InvalidError."""
    return _id(roles.create_role(connection, {**role, "permissions": _permissions(connection, role["permissions"])}))


def add_user(connection: Connection, user: JSON, hashed: str | None, moment: Moment) -> Place:
    """Stores a user, a loaded SeedUserSchema, but for what add_around() stores. Raises InvalidError."""
    if user.get("ldapID") is not None:
        parse_object_id(user["ldapID"])
    data = {name: value for name, value in user.items() if name not in _BESIDE_USER}
    domain_id = _domain_of(connection, user)
    return Place(domain_id, users.add_user(connection, domain_id, data, hashed, Change(None, True, moment.now)))


#: What belongs to a user and may refer to others, by the field of the record.
Store = Callable[[Any], object]


def around(connection: Connection, place: Place, moment: Moment) -> Mapping[str, Store]:
    """How to store each field of a user that refers to others, or is no field of the user itself."""
    ids = place.domain_id, place.user_id
    return {
        "roles": lambda names: roles.set_roles_of_user(connection, *ids, [_role(connection, name) for name in names]),
        "oof": lambda state: oof.change_oof(connection, *ids, state, moment.timezone),
        "delegates": lambda addresses: delegates.replace_grants(connection, *ids, DELEGATE, addresses, None),
        "sendas": lambda addresses: delegates.replace_grants(connection, *ids, SENDAS, addresses, None),
        "storeAccess": lambda names: store_access.replace_members(connection, *ids, names, None),
    }


def add_device(connection: Connection, place: Place, device: JSON, moment: Moment) -> None:
    """Stores a device, a loaded SeedDeviceSchema. Raises InvalidError."""
    beside = ("deviceID", "wipeStatus", "resync")
    state = {name: value for name, value in device.items() if name not in beside}
    ids, device_id = (place.domain_id, place.user_id), device["deviceID"]
    devices.store_report(connection, place.user_id, device_id, state, moment.unix)
    if device["wipeStatus"] != UNKNOWN:
        event = Event(Kind.REPORT, device["wipeStatus"])
        devices.change_wipe(connection, *ids, device_id, event, Origin(moment.unix, ""))
    if device["resync"]:
        devices.request_resync(connection, *ids, device_id)


def add_token(connection: Connection, token: JSON, hashed: str, expires: int | None, moment: Moment) -> int:
    """Stores a token, a loaded SeedTokenSchema; returns its ID. Raises InvalidError."""
    data = {name: token[name] for name in ("name", "readOnly", "networks")}
    if "permissions" in token:
        data["permissions"] = _permissions(connection, token["permissions"])
    wanted = Wanted(_owner(connection, token["owner"]), data, hashed, token.get("created") or moment.unix, expires)
    return api_tokens.create_token(connection, wanted, None).id


def find_place(connection: Connection, username: str) -> Place:
    """Where the user with a username with its domain is. Raises InvalidError."""
    domain_id = _find_domain(connection, "username", domain_of(username))
    user_id = find_id_by_username(connection, domain_id, stored_form(username))
    if user_id is None:
        raise InvalidError.missing("username", "user", _shown(username))
    return Place(domain_id, user_id)


def _owner(connection: Connection, name: str) -> int:
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
        raise InvalidError.field("owner", f"There is no user {_shown(name)}, or there are several; say which.")
    return found[0]


def _permissions(connection: Connection, given: Sequence[JSON]) -> list[JSON]:
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
        raise InvalidError.missing(f"permissions.{number}", "domain or organisation", _shown(name))
    return domain.id


def _domain_of(connection: Connection, user: JSON) -> int:
    if "domain" in user:
        return _find_domain(connection, "domain", user["domain"])
    username = user.get("username", "")
    if "@" in username and user.get("status") != STATUS_CONTACT:
        return _find_domain(connection, "username", domain_of(username))
    known = list_domains(connection)
    if len(known) != 1:
        raise InvalidError.field("domain", f"Is needed: there are {len(known)} domains.")
    return known[0].id


def _find_domain(connection: Connection, field: str, name: str) -> int:
    domain = find_domain_by_name(connection, _in_ascii(name))
    if domain is None:
        raise InvalidError.missing(field, "domain", _shown(name))
    return domain.id


def _in_ascii(name: str) -> str:
    try:
        return parse_domain(name)[0]
    except ValueError:
        return name


def _role(connection: Connection, name: str) -> int:
    role_id = find_role_by_name(connection, name)
    if role_id is None:
        raise InvalidError(f"There is no role {_shown(name)}.")
    return role_id


def _shown(name: str) -> str:
    return repr(name[:100])


def _id(document: bytes) -> int:
    return int(orjson.loads(document)["ID"])
