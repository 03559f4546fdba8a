"""Fills an empty store from a seed, with the rules of the single operations, in one transaction."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final

import orjson

from postroom.app.auth.tokens import ADMIN_ID
from postroom.app.directory.object_id import parse_object_id
from postroom.app.errors import InvalidError, PostroomError
from postroom.app.transactions import api_tokens, delegates, devices, domains, oof, orgs, roles, store_access, users
from postroom.app.transactions.api_tokens import Wanted
from postroom.app.transactions.devices import Origin
from postroom.app.transactions.lookups import find_user_or_raise
from postroom.app.transactions.users import Change
from postroom.app.transactions.wipe import UNKNOWN, Event, Kind
from postroom.schemas.addresses import domain_of, stored_form
from postroom.schemas.roles import EVERYTHING
from postroom.schemas.seeds import MOST_USERS
from postroom.schemas.values.users import STATUS_CONTACT
from postroom.storage.engine import Connection
from postroom.storage.grants import DELEGATE, SENDAS

#: Where something stands in a seed: names of fields, and places in lists.
Path = tuple[str | int, ...]
JSON = dict[str, Any]

#: The domain of users who are in none.
DEFAULT_DOMAIN: Final = "example.org"

#: Fields of a user in a seed that are not fields of a new user.
_BESIDE: Final = ("domain", "roles", "oof", "delegates", "sendas", "storeAccess", "devices", "passwordHash")


class RefusedSeedError(Exception):
    """Something in a seed breaks a rule; `reasons` are those of the operation."""

    def __init__(self, path: Path, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.path = path
        self.reasons = reasons


@dataclass(frozen=True, slots=True)
class Planting:
    """What a seed is planted with: the hash of each user's password (None: there is none), the hash and the end of each
    token (None: never), and the time.
    """

    hashes: Sequence[str | None]
    #: Of each token.
    tokens: Sequence[tuple[str, int | None]]
    #: In the format of the API.
    now: str
    timezone: tzinfo
    #: UNIX time: of the first contact of devices that name none, and when tokens were made.
    contact: int


def plant(connection: Connection, seed: Mapping[str, Any], planting: Planting) -> None:
    """Stores everything in a loaded SeedSchema. Raises RefusedSeedError."""
    _Plant(connection, planting).everything(seed)


@contextmanager
def at(*path: str | int) -> Iterator[None]:
    """Says of an error where in the seed it is. Raises RefusedSeedError."""
    try:
        yield
    except PostroomError as error:
        raise RefusedSeedError(path, error.errors or [error.message]) from error


class _Plant:
    """The IDs of what has been stored so far, by name."""

    def __init__(self, connection: Connection, planting: Planting) -> None:
        self._connection = connection
        self._planting = planting
        self._change = Change(None, True, planting.now)
        self._orgs: dict[str, int] = {}
        self._domains: dict[str, int] = {}
        self._roles: dict[str, int] = {}
        self._users = {"admin": ADMIN_ID}

    def everything(self, seed: Mapping[str, Any]) -> None:
        for number, org in enumerate(seed["organisations"]):
            with at("organisations", number):
                self._orgs[org["name"]] = _id(orgs.create_org(self._connection, org))
        given = seed["domains"]
        if not given and seed["users"]:
            given = [{"domainname": (DEFAULT_DOMAIN, DEFAULT_DOMAIN), "maxUser": MOST_USERS}]
        for number, domain in enumerate(given):
            with at("domains", number):
                self._add_domain(domain)
        for number, role in enumerate(seed["roles"]):
            with at("roles", number):
                self._add_role(role)
        self._add_users(seed["users"])
        for number, token in enumerate(seed["tokens"]):
            with at("tokens", number):
                self._add_token(token, *self._planting.tokens[number])
        for number, domain in enumerate(seed["domains"]):
            # At the end: nobody can be created in a deleted domain.
            if domain.get("domainStatus"):
                with at("domains", number, "domainStatus"):
                    self._set_status(domain)

    def _add_domain(self, domain: JSON) -> None:
        fields = {
            name: value
            for name, value in domain.items()
            if name not in ("organisation", "disabledPlugins", "domainStatus")
        }
        if "organisation" in domain:
            fields["orgID"] = _found(self._orgs, "organisation", "organisation", domain["organisation"])
        domain_id = _id(domains.create_domain(self._connection, fields, False))
        self._domains[domain["domainname"][0]] = domain_id
        if domain.get("disabledPlugins"):
            domains.replace_disabled_plugins(self._connection, domain_id, domain["disabledPlugins"])

    def _set_status(self, domain: JSON) -> None:
        domain_id = self._domains[domain["domainname"][0]]
        status = {"domainStatus": domain["domainStatus"]}
        domains.patch_domain(self._connection, domain_id, status, True, None)

    def _add_role(self, role: JSON) -> None:
        data = {**role, "permissions": self._permissions(role["permissions"])}
        document = roles.create_role(self._connection, data)
        self._roles[role["name"]] = _id(document)

    def _add_token(self, token: JSON, hashed: str, expires: int | None) -> None:
        owner = token["owner"]
        names = [owner] if "@" in owner else [owner, *(f"{owner}@{name}" for name in self._domains)]
        found = [self._users[name] for name in map(stored_form, names) if name in self._users]
        if len(found) != 1:
            raise InvalidError.field("owner", f"The seed has no user {owner[:100]!r}, or several; say which.")
        data = {name: token[name] for name in ("name", "readOnly", "networks")}
        if "permissions" in token:
            data["permissions"] = self._permissions(token["permissions"])
        wanted = Wanted(found[0], data, hashed, self._planting.contact, expires)
        api_tokens.create_token(self._connection, wanted, None)

    def _permissions(self, given: Sequence[JSON]) -> list[JSON]:
        return [
            {"permission": each["permission"], "params": self._target(number, each["target"])}
            for number, each in enumerate(given)
        ]

    def _target(self, number: int, name: str | None) -> int | str | None:
        if name is None or name == EVERYTHING:
            return name
        found = self._orgs.get(name, self._domains.get(stored_form(name)))
        if found is None:
            raise InvalidError.missing(f"permissions.{number}", "domain or organisation", repr(name))
        return found

    def _add_users(self, given: Sequence[JSON]) -> None:
        ids = []
        for number, user in enumerate(given):
            with at("users", number):
                ids.append(self._add_user(user, self._planting.hashes[number]))
        # Only now, because they refer to each other.
        for number, (user, place) in enumerate(zip(given, ids, strict=True)):
            self._add_around(number, user, place)

    def _add_user(self, user: JSON, hashed: str | None) -> tuple[int, int]:
        if user.get("ldapID") is not None:
            parse_object_id(user["ldapID"])
        data = {name: value for name, value in user.items() if name not in _BESIDE}
        domain_id = self._domain_of(user)
        user_id = users.add_user(self._connection, domain_id, data, hashed, self._change)
        self._users[find_user_or_raise(self._connection, domain_id, user_id).username] = user_id
        return domain_id, user_id

    def _domain_of(self, user: JSON) -> int:
        if "domain" in user:
            return _found(self._domains, "domain", "domain", stored_form(user["domain"]))
        username = user.get("username", "")
        if "@" in username and user.get("status") != STATUS_CONTACT:
            return _found(self._domains, "username", "domain", domain_of(stored_form(username)))
        if len(self._domains) != 1:
            raise InvalidError.field("domain", f"Is needed: there are {len(self._domains)} domains.")
        (domain_id,) = self._domains.values()
        return domain_id

    def _add_around(self, number: int, user: JSON, place: tuple[int, int]) -> None:
        connection = self._connection
        parts: dict[str, Callable[[Any], object]] = {
            "roles": lambda names: roles.set_roles_of_user(connection, *place, [self._role(name) for name in names]),
            "oof": lambda state: oof.change_oof(connection, *place, state, self._planting.timezone),
            "delegates": lambda addresses: delegates.replace_grants(connection, *place, DELEGATE, addresses, None),
            "sendas": lambda addresses: delegates.replace_grants(connection, *place, SENDAS, addresses, None),
            "storeAccess": lambda names: store_access.replace_members(connection, *place, names, None),
        }
        for name, store in parts.items():
            if user.get(name):
                with at("users", number, name):
                    store(user[name])
        for nth, device in enumerate(user["devices"]):
            with at("users", number, "devices", nth):
                self._add_device(place, device)

    def _role(self, name: str) -> int:
        if name not in self._roles:
            raise InvalidError(f"The seed has no role {name[:100]!r}.")
        return self._roles[name]

    def _add_device(self, place: tuple[int, int], device: JSON) -> None:
        beside = ("deviceID", "wipeStatus", "resync")
        state = {name: value for name, value in device.items() if name not in beside}
        owner, device_id = place[1], device["deviceID"]
        devices.store_report(self._connection, owner, device_id, state, self._planting.contact)
        if device["wipeStatus"] != UNKNOWN:
            origin = Origin(self._planting.contact, "")
            event = Event(Kind.REPORT, device["wipeStatus"])
            devices.change_wipe(self._connection, *place, device_id, event, origin)
        if device["resync"]:
            devices.request_resync(self._connection, *place, device_id)


def _id(document: bytes) -> int:
    return int(orjson.loads(document)["ID"])


def _found(known: Mapping[str, int], field: str, thing: str, name: str) -> int:
    if name not in known:
        raise InvalidError.field(field, f"The seed has no {thing} {name[:100]!r}.")
    return known[name]
