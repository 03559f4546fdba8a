"""Stores the records of an import one by one.

In a store that was empty, they keep what a store otherwise sets itself.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from postroom.app.transactions import fetchmail, names, records
from postroom.app.transactions.lookups import find_user_or_raise
from postroom.app.transactions.record_names import Place, find_place
from postroom.app.transactions.records import Moment
from postroom.app.transactions.wipe import UNKNOWN
from postroom.schemas.domains import LARGEST_MAX_USER
from postroom.schemas.records import LARGEST_ID
from postroom.schemas.values.domains import STATUS_SUSPENDED
from postroom.schemas.values.text import fold
from postroom.storage import api_tokens, device_states
from postroom.storage.engine import Connection
from postroom.storage.ids import set_next_id

JSON = Mapping[str, Any]

#: Fields that refer to users who may come later.
LATER: Final = ("delegates", "sendas", "storeAccess")
#: Kind -> table with its IDs.
_TABLES: Final = {
    "organisation": "orgs",
    "domain": "domains",
    "role": "roles",
    "user": "users",
    "token": "api_tokens",  # nosec B105 - the name of a table
}


class Later(NamedTuple):
    """What has to wait until all records are stored, because it refers to them or would refuse them."""

    what: str
    #: Of a user: those of the domain and the user.
    ids: Sequence[int]
    value: Any
    #: Of the user or domain.
    name: str


class Importer:
    """Stores records. `keep`: with their IDs and what else a store sets itself."""

    def __init__(self, moment: Moment, *, keep: bool) -> None:
        self._moment = moment
        self._keep = keep
        #: Table -> the ID that was given last.
        self._last: dict[str, int] = {}
        self._add: dict[str, Callable[[Connection, JSON, Any], list[Later]]] = {
            "organisation": self._add_organisation,
            "domain": self._add_domain,
            "role": self._add_role,
            "user": self._add_user,
            "access": self._add_access,
            "token": self._add_token,
            "settings": self._add_settings,
        }

    def add(self, connection: Connection, kind: str, data: JSON, secret: Any) -> list[Later]:
        """Stores a record; returns what is due when all are stored. Raises what the single operation raises.

        `secret` is the hash of a user's password (None: there is none), or (hash, end) of a token.
        """
        try:
            if kind in _TABLES:
                self._set_next_id(connection, _TABLES[kind], data.get("ID"))
            return self._add[kind](connection, data, secret)
        except Exception:
            # What was set for this record is undone with it.
            self._last.clear()
            raise

    def finish(self, connection: Connection, later: Later) -> None:
        """Stores what was due later. Raises InvalidError, NotFoundError."""
        if later.what in LATER:
            records.around(connection, Place(*later.ids), self._moment)[later.what](later.value)
        else:
            records.set_of_domain(connection, later.name, later.what, later.value)

    def _add_organisation(self, connection: Connection, data: JSON, _secret: None) -> list[Later]:
        records.add_organisation(connection, _without(data, "ID"))
        if "ldap" in data:
            records.set_directory(connection, data["name"], data["ldap"])
        return []

    def _add_access(self, connection: Connection, data: JSON, _secret: None) -> list[Later]:
        """What a user gives to others, which was refused before."""
        return _later(connection, data, find_place(connection, data["username"]))

    def _add_domain(self, connection: Connection, data: JSON, _secret: None) -> list[Later]:
        # More users than may be created are possible: those of before the limit.
        most = LARGEST_MAX_USER if self._keep else data["maxUser"]
        records.add_domain(connection, {**_without(data, "ID"), "maxUser": most})
        name = data["domainname"][0]
        if data.get("domainStatus"):
            # Nobody logs in there, also when the import ends half-way.
            records.set_of_domain(connection, name, "domainStatus", STATUS_SUSPENDED)
        # In this order: the last one may forbid the others.
        due = [("maxUser", self._keep), ("createDefaults", True), ("domainStatus", True)]
        return [Later(what, (), data[what], name) for what, wanted in due if wanted and data.get(what) is not None]

    def _add_role(self, connection: Connection, data: JSON, _secret: None) -> list[Later]:
        records.add_role(connection, _without(data, "ID"))
        return []

    def _add_settings(self, connection: Connection, data: JSON, _secret: None) -> list[Later]:
        records.set_for_all(connection, data)
        return []

    def _add_token(self, connection: Connection, data: JSON, secret: tuple[str, int | None]) -> list[Later]:
        token = data if self._keep else _without(data, "created")
        token_id = records.add_token(connection, token, *secret, self._moment)
        if self._keep and data.get("lastUsed") is not None:
            api_tokens.update_last_uses(connection, [(token_id, data["lastUsed"], data.get("lastSource") or "")])
        return []

    def _add_user(self, connection: Connection, data: JSON, hashed: str | None) -> list[Later]:
        moment = self._moment
        fields = _without(data, "ID", "wipeHistory", "fetchmail", *LATER)
        place = records.add_user(connection, fields, hashed, moment)
        self._add_fetchmail(connection, place, data.get("fetchmail") or ())
        around = records.around(connection, place, moment)
        for name in ("roles", "oof", "resyncs"):
            if data.get(name):
                around[name](data[name])
        for device in data["devices"]:
            self._add_device(connection, place, device)
        if self._keep:
            self._keep_history(connection, place, data)
        return _later(connection, data, place)

    def _add_device(self, connection: Connection, place: Place, device: JSON) -> None:
        if not self._keep:
            records.add_device(connection, place, device, self._moment)
            return
        # The history of its wipes comes with the user.
        never = {"lastconnecttime": None}
        records.add_device(connection, place, {**never, **device, "wipeStatus": UNKNOWN}, self._moment)
        device_states.set_status(connection, place.user_id, device["deviceID"], device["wipeStatus"])

    def _add_fetchmail(self, connection: Connection, place: Place, entries: Sequence[JSON]) -> None:
        if not entries:
            return
        user = find_user_or_raise(connection, place.domain_id, place.user_id)
        own = {fold(address) for address in names.list_own(connection, user)}
        for number, entry in enumerate(entries):
            self._set_next_id(connection, "fetchmail", entry.get("ID"))
            given = _without(entry, "ID", "date")
            fetchmail.add_entry(connection, user, own, number, given, entry.get("date") or self._moment.now)

    def _keep_history(self, connection: Connection, place: Place, data: JSON) -> None:
        for event in data["wipeHistory"]:
            device_states.insert_history(
                connection, place.user_id, event["deviceID"], event["status"], event["time"], event["remoteIP"]
            )

    def _set_next_id(self, connection: Connection, table: str, number: int | None) -> None:
        if not self._keep or number is None or not 1 <= number <= LARGEST_ID:
            return
        if self._last.get(table) != number - 1:
            set_next_id(connection, table, number)
        self._last[table] = number


def _later(connection: Connection, data: JSON, place: Place) -> list[Later]:
    due = [what for what in LATER if data.get(what)]
    if not due:
        return []
    name = find_user_or_raise(connection, place.domain_id, place.user_id).username
    return [Later(what, (place.domain_id, place.user_id), data[what], name) for what in due]


def _without(data: JSON, *fields: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in fields}
