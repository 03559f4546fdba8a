"""Stores one organisation, domain, role, user or token that refers to others by name, as seeds and imports have them.

The rules are those of the single operations. Whatever a record names has to be stored already.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

import orjson

from postroom.app.directory.object_id import parse_object_id
from postroom.app.errors import InvalidError
from postroom.app.transactions import api_tokens, delegates, devices, domains, oof, orgs, roles, store_access, users
from postroom.app.transactions.api_tokens import Wanted
from postroom.app.transactions.create_defaults import put_defaults
from postroom.app.transactions.devices import Origin
from postroom.app.transactions.record_names import (
    Place,
    domain_named,
    domain_of_user,
    owner_of,
    permissions_of,
    role_named,
    shown,
)
from postroom.app.transactions.users import Change
from postroom.app.transactions.wipe import UNKNOWN, Event, Kind
from postroom.storage.auth import AUTH_BACKEND, set_setting
from postroom.storage.device_states import insert_resyncs
from postroom.storage.engine import Connection
from postroom.storage.grants import DELEGATE, SENDAS
from postroom.storage.ldap_configs import LdapConfigRow, set_ldap_config
from postroom.storage.orgs import find_org_by_name
from postroom.storage.users import MAGIC_MANUAL, replace_addresses

JSON = Mapping[str, Any]

#: Fields of a domain in a record that are not fields of a new domain.
_BESIDE_DOMAIN = ("organisation", "disabledPlugins", "domainStatus", "createDefaults")
#: Fields of a user in a record that are not fields of a new user.
_BESIDE_USER = (
    "domain", "roles", "oof", "delegates", "sendas", "storeAccess", "devices", "resyncs", "passwordHash",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moment:
    """When records are stored."""

    #: In the format of the API.
    now: str
    timezone: tzinfo
    #: UNIX time: of the first contact of devices that name none, and when tokens were made.
    unix: int


def add_organisation(connection: Connection, org: JSON) -> int:
    """Stores an organisation, a loaded SeedOrgSchema; returns its ID. Raises InvalidError."""
    return _id(orgs.create_org(connection, {name: value for name, value in org.items() if name != "ldap"}))


def add_domain(connection: Connection, domain: JSON) -> int:
    """Stores a domain, a loaded SeedDomainSchema, but for its status; returns its ID. Raises InvalidError."""
    fields = {name: value for name, value in domain.items() if name not in _BESIDE_DOMAIN}
    if "organisation" in domain:
        org_id = find_org_by_name(connection, domain["organisation"])
        if org_id is None:
            raise InvalidError.missing("organisation", "organisation", shown(domain["organisation"]))
        fields["orgID"] = org_id
    domain_id = _id(domains.create_domain(connection, fields, False))
    if domain.get("disabledPlugins"):
        domains.replace_disabled_plugins(connection, domain_id, domain["disabledPlugins"])
    return domain_id


def set_of_domain(connection: Connection, domainname: str, field: str, value: Any) -> None:
    """Sets what a domain gets only once its users are there: nobody can be created in a deleted one
    (`domainStatus`), and `createDefaults` are not for them.
    """
    domain_id = domain_named(connection, "domainname", domainname)
    if field == "createDefaults":
        put_defaults(connection, domain_id, value)
    else:
        domains.patch_domain(connection, domain_id, {field: value}, True, None)


def set_directory(connection: Connection, organisation: str | None, config: JSON) -> None:
    """Sets the directory of an organisation, or (None) of those whose organisation has none. Nobody asks it."""
    org_id = None if organisation is None else find_org_by_name(connection, organisation)
    set_ldap_config(connection, org_id, LdapConfigRow.of(config))


def set_for_all(connection: Connection, settings: JSON) -> None:
    """Sets what is of no organisation and no domain, as far as it is given."""
    if "ldap" in settings:
        set_directory(connection, None, settings["ldap"])
    if "createDefaults" in settings:
        put_defaults(connection, None, settings["createDefaults"])
    if "authBackendSelection" in settings:
        set_setting(connection, AUTH_BACKEND, settings["authBackendSelection"])


def add_role(connection: Connection, role: JSON) -> int:
    """Stores a role, a loaded SeedRoleSchema; returns its ID. Raises InvalidError."""
    made_for = None if "madeFor" not in role else domain_named(connection, "madeFor", role["madeFor"])
    data = {name: value for name, value in role.items() if name != "madeFor"}
    data["permissions"] = permissions_of(connection, role["permissions"])
    return _id(roles.create_role(connection, data, made_for))


def add_user(connection: Connection, user: JSON, hashed: str | None, moment: Moment) -> Place:
    """Stores a user, a loaded SeedUserSchema, but for what add_around() stores. Raises InvalidError."""
    if user.get("ldapID") is not None:
        parse_object_id(user["ldapID"])
    data = {name: value for name, value in user.items() if name not in _BESIDE_USER}
    domain_id = domain_of_user(connection, user)
    user_id = users.add_user(connection, domain_id, data, hashed, Change(None, True, moment.now))
    if user.get("altnames"):
        origins = [(each["altname"], each.get("magic", MAGIC_MANUAL)) for each in user["altnames"]]
        replace_addresses(connection, user_id, "altname", origins)
    return Place(domain_id, user_id)


#: What belongs to a user and may refer to others, by the field of the record.
Store = Callable[[Any], object]


def around(connection: Connection, place: Place, moment: Moment) -> Mapping[str, Store]:
    """How to store each field of a user that refers to others, or is no field of the user itself."""
    ids = place.domain_id, place.user_id
    return {
        "roles": lambda names: roles.set_roles_of_user(
            connection, *ids, [role_named(connection, name) for name in names], None
        ),
        "oof": lambda state: oof.change_oof(connection, *ids, state, moment.timezone),
        "delegates": lambda addresses: delegates.replace_grants(connection, *ids, DELEGATE, addresses, None),
        "sendas": lambda addresses: delegates.replace_grants(connection, *ids, SENDAS, addresses, None),
        "resyncs": lambda device_ids: insert_resyncs(connection, place.user_id, device_ids),
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
        data["permissions"] = permissions_of(connection, token["permissions"])
    wanted = Wanted(owner_of(connection, token["owner"]), data, hashed, token.get("created") or moment.unix, expires)
    return api_tokens.create_token(connection, wanted, None).id


def _id(document: bytes) -> int:
    return int(orjson.loads(document)["ID"])
