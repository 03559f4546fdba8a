"""An LDAP directory inside a server of a test: people in memory, without a process or a port."""

import base64
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Final

from postroom.app.directory.faults import AwayError, RefusedError
from postroom.app.directory.servers import Session, open_session
from postroom.app.transactions.seeds import DEFAULT_DOMAIN
from postroom.schemas.ldap_text import ServerAddress
from postroom.schemas.people import PersonSchema
from postroom.testing.directory_session import MemorySession, place_or_fault
from postroom.testing.errors import HarnessError, loaded
from postroom.testing.ldap_names import escaped, place_of, plain
from postroom.testing.ldap_tree import Stored, Tree
from postroom.testing.passwords import PASSWORD

#: The host that is the directory of this server. No real host has this name; all others are asked over the network.
HOST: Final = "directory.test"

_SCHEMA: Final = PersonSchema()
_BEGINNING: Final = "the beginning"


class MemoryDirectory:
    """The directory of one server. May be used from any thread.

    People are LDAP entries: `{"uid": "anna", "title": "Boss", "mail": ["anna@example.org", "a@example.org"]}`, or the
    `uid` alone. Unless it says otherwise, an entry with a `uid` is an `inetOrgPerson` below `people_dn`, with `cn` and
    `sn`, an address in example.org as `mail`, and the password `postroom.testing.PASSWORD` as `userPassword`. Each has
    an `entryUUID`. Entries without a `uid` need a `dn`.
    """

    def __init__(self, base_dn: str = "dc=example,dc=org") -> None:
        #: For `connection.server` of a configuration.
        self.url = f"ldap://{HOST}"
        self.base_dn = base_dn
        self.people_dn = f"ou=people,{base_dn}"
        #: Who may read everything; so may everybody in the directory, with their own password.
        self.bind_user = f"cn=postroom,{base_dn}"
        self.bind_password = PASSWORD
        #: Most entries that one question gets, as servers limit them; None: there is no limit.
        self.size_limit: int | None = None
        self._is_away = False
        self._outages = 0
        self._tree = Tree()
        self._tree.put(self.people_dn, {"objectClass": [b"organizationalUnit"]}, is_holder=True)
        self._kept = {_BEGINNING: self._tree.state}

    @property
    def config(self) -> dict[str, Any]:
        """An `ldapConfig` with which postroom finds the people in it, for PUT /system/mconf/ldap."""
        return {
            "connection": {"server": self.url, "bindUser": self.bind_user, "bindPass": self.bind_password},
            "baseDn": self.people_dn,
            "objectID": "entryUUID",
            "users": {
                "username": "mail",
                "displayName": "displayName",
                "filter": "(objectClass=inetOrgPerson)",
                "searchAttributes": ["mail", "cn", "displayName", "uid"],
                "templates": ["common", "OpenLDAP"],
                "aliases": "mailAlternateAddress",
            },
        }

    @property
    def away(self) -> bool:
        """Whether it refuses connections, like a server that is down. Setting it breaks those that are open."""
        return self._is_away

    @away.setter
    def away(self, is_away: bool) -> None:
        self._is_away = is_away
        self._outages += is_away

    @property
    def people(self) -> list[dict[str, Any]]:
        """Everybody, in the order in which they came: `dn`, and each attribute as a list of values.

        A value is text, or `{"base64": "..."}`.
        """
        return [_shown(each) for each in self._tree.entries.values() if not each.is_holder]

    def add(self, person: Mapping[str, Any] | str) -> dict[str, Any]:
        """Adds somebody; returns them as in `people`. Raises HarnessError."""
        found = loaded(_SCHEMA, person, "directory.add")
        dn, attributes = found["dn"], found["attributes"]
        uids = [value.decode("utf-8", "replace") for value in _values(attributes, "uid")]
        if uids:
            attributes = _completed(attributes, uids[0])
            dn = dn or f"uid={escaped(uids[0])},{self.people_dn}"
        if dn is None:
            raise HarnessError("directory.add: Either a uid or a dn is needed")
        return self._put("directory.add", dn, attributes)

    def change(self, who: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Replaces these attributes of somebody, who is named by `uid` or DN. Null removes one; `dn` moves the entry.

        Returns them as in `people`. Raises HarnessError.
        """
        found = loaded(_SCHEMA, changes, "directory.change")
        before = self._find("directory.change", who)
        replaced = {name.lower() for name in found["attributes"]}
        kept = {name: values for name, values in before.attributes.items() if name.lower() not in replaced}
        return self._put("directory.change", found["dn"] or before.dn, {**kept, **found["attributes"]}, before)

    def remove(self, who: str) -> None:
        """Removes somebody, who is named by `uid` or DN. Raises HarnessError."""
        self._tree.remove(self._find("directory.remove", who))

    def reset(self) -> None:
        """As at the beginning: there, without a limit, and nobody in it."""
        self._is_away, self.size_limit = False, None
        self.go_back(_BEGINNING)

    def keep(self, name: str) -> None:
        """Keeps everybody as they are now under a name."""
        self._kept[name] = self._tree.state

    def go_back(self, name: str) -> None:
        """Everybody is as they were when that name was kept."""
        self._tree.go_back(self._kept[name])

    async def open(
        self, server: ServerAddress, context: ssl.SSLContext | None, user: str | None, password: str | None
    ) -> Session:
        """A connection: to this directory or, for another host, over the network. AwayError, FaultError, RefusedError.

        Without a user it sees nothing.
        """
        if server.host != HOST:
            return await open_session(server, context, user, password)
        if self._is_away:
            raise AwayError("it refuses connections")
        if user is not None and not self._knows(user, password or ""):
            raise RefusedError
        outages = self._outages
        return MemorySession(
            server,
            lambda: self._tree.entries.values() if user is not None else (),
            lambda: self._outages == outages,
            self.size_limit,
        )

    def _knows(self, user: str, password: str) -> bool:
        place = place_or_fault(user)
        if place == place_of(self.bind_user):
            return password == self.bind_password
        found = self._tree.entries.get(place)
        return found is not None and password.encode() in _values(found.attributes, "userPassword")

    def _put(
        self, what: str, dn: str, attributes: Mapping[str, Sequence[bytes]], before: Stored | None = None
    ) -> dict[str, Any]:
        try:
            return _shown(self._tree.put(dn, attributes, before))
        except ValueError as error:
            raise HarnessError(f"{what}: {error}") from None

    def _find(self, what: str, who: str) -> Stored:
        entries = self._tree.entries.values()
        found = [each for each in entries if who.encode() in _values(each.attributes, "uid") or each.dn == who]
        if len(found) != 1:
            raise HarnessError(
                f"{what}: There is {'nobody' if not found else 'more than one'} {who!r} in the directory"
            )
        return found[0]


def _values(attributes: Mapping[str, Sequence[bytes]], name: str) -> Sequence[bytes]:
    return next((values for other, values in attributes.items() if plain(other) == plain(name)), ())


def _completed(attributes: Mapping[str, Sequence[bytes]], uid: str) -> dict[str, Sequence[bytes]]:
    given = {plain(name) for name in attributes}
    usual = {
        "objectClass": "inetOrgPerson",
        "cn": uid,
        "sn": uid,
        "mail": f"{uid}@{DEFAULT_DOMAIN}",
        "userPassword": PASSWORD,
    }
    return {**{name: [text.encode()] for name, text in usual.items() if plain(name) not in given}, **attributes}


def _shown(found: Stored) -> dict[str, Any]:
    return {"dn": found.dn, **{name: list(map(_text, values)) for name, values in found.attributes.items()}}


def _text(raw: bytes) -> str | dict[str, str]:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode()}
