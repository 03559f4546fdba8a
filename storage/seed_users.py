"""Users as records of a seed or an export, with everything that belongs to them."""

import json
from collections.abc import Iterator
from typing import Any, Final

from postroom.schemas.values.create_defaults import BUILT_IN
from postroom.schemas.values.users import DISPLAY_CONTACT, DISPLAY_MAILBOX, STATUS_CONTACT
from postroom.storage import grants, store_access
from postroom.storage.devices import read_devices
from postroom.storage.engine import Connection
from postroom.storage.fetchmail import list_fetchmail
from postroom.storage.oof import DEFAULTS as OOF_OFF
from postroom.storage.oof import find_oof
from postroom.storage.seed_extent import JSON, Extent, filled, told
from postroom.storage.user_documents import document
from postroom.storage.users import MAGIC_MANUAL

_SELECT_HISTORY = "SELECT device_id, time, remote_ip, status FROM wipe_history WHERE user_id = ? ORDER BY id"
_SELECT_USERS = f"""
    SELECT u.id, u.domain_id, d.domainname, u.password, {document(2)}
      FROM users u
      JOIN domains d ON d.id = u.domain_id
     WHERE u.id > ?
     ORDER BY u.id
     LIMIT ?
"""
#: Users that are read together.
_PIECE: Final = 500


def list_users(connection: Connection, extent: Extent) -> Iterator[JSON]:
    """Every user, by ID."""
    last = 0
    while rows := connection.execute(_SELECT_USERS, (last, _PIECE)).fetchall():
        for row in rows:
            yield _user(connection, extent, *row)
        last = rows[-1][0]


def _user(
    connection: Connection, extent: Extent, user_id: int, domain_id: int, domainname: str, password: str, found: str
) -> JSON:
    fields: JSON = json.loads(found)
    place, properties = (domain_id, user_id), fields["properties"]
    is_contact = fields["status"] == STATUS_CONTACT
    if is_contact:
        fields |= {"username": properties.pop("smtpaddress", None), "domain": domainname}
    if not extent.exact:
        properties.pop("creationtime", None)
        if properties.setdefault("displaytypeex", None) == (DISPLAY_CONTACT if is_contact else DISPLAY_MAILBOX):
            del properties["displaytypeex"]
    fields["altnames"] = [filled(each, {"magic": MAGIC_MANUAL}) for each in fields["altnames"]]
    fields["fetchmail"] = _fetchmail(connection, extent, user_id, fields["fetchmail"]) if extent.secrets else None
    around = {
        "passwordHash": password if extent.secrets else None,
        "roles": [role["name"] for role in fields.pop("roles")],
        "oof": _oof(connection, user_id),
        "delegates": _list(grants.read_grants(connection, *place, grants.DELEGATE)),
        "sendas": _list(grants.read_grants(connection, *place, grants.SENDAS)),
        "storeAccess": None if is_contact else [
            member["username"] for member in _list(store_access.read_members(connection, *place))
        ],
        **_devices(connection, place),
        "wipeHistory": _history(connection, user_id) if extent.exact else None,
    }  # fmt: skip
    return told(fields, extent, {**BUILT_IN["user"], "status": 0}) | filled(around)


def _list(found: bytes | None) -> list[Any]:
    return list(json.loads(found)["data"]) if found else []


def _oof(connection: Connection, user_id: int) -> JSON:
    # An empty subject is one.
    found = find_oof(connection, user_id)
    return {name: value for name, value in found.items() if value is not None and value != OOF_OFF.get(name)}


def _fetchmail(connection: Connection, extent: Extent, user_id: int, entries: list[JSON]) -> list[JSON]:
    """The entries whose passwords can be read, with them."""
    known = list_fetchmail(connection, user_id) if entries else {}
    return [
        {**told(entry, extent), "srcPassword": known[entry["ID"]]["srcPassword"]}
        for entry in entries
        if "srcPassword" in known[entry["ID"]]
    ]


def _history(connection: Connection, user_id: int) -> list[JSON]:
    """All changes of wipe statuses, also of devices that are gone."""
    names = ("deviceID", "time", "remoteIP", "status")
    return [dict(zip(names, row, strict=True)) for row in connection.execute(_SELECT_HISTORY, (user_id,)).fetchall()]


def _devices(connection: Connection, place: tuple[int, int]) -> JSON:
    """The devices of a user, and the requested resyncs of those that were removed."""
    rows = connection.execute("SELECT device_id FROM due_resyncs WHERE user_id = ? ORDER BY id", (place[1],)).fetchall()
    due = [device_id for (device_id,) in rows]
    found = []
    for device in _list(read_devices(connection, *place)):
        device_id = device.pop("deviceid")
        state = filled(device, {"foldersSyncable": 0, "foldersSynced": 0, "wipeStatus": 0})
        found.append({"deviceID": device_id, **state, **({"resync": True} if device_id in due else {})})
    known = {device["deviceID"] for device in found}
    return {"devices": found, "resyncs": [device_id for device_id in due if device_id not in known]}
