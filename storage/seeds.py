"""Reads everything in a store as one document, from which another store can begin: see schemas/seeds.py."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from postroom.schemas.values.create_defaults import BUILT_IN
from postroom.schemas.values.users import STATUS_CONTACT
from postroom.storage import domains, grants, store_access
from postroom.storage.devices import read_devices
from postroom.storage.engine import Connection
from postroom.storage.fetchmail import list_fetchmail
from postroom.storage.oof import DEFAULTS as OOF_OFF
from postroom.storage.oof import find_oof
from postroom.storage.user_documents import document

JSON = dict[str, Any]

#: The last day of a domain that has none, as in the table.
_NO_END: Final = "3333-03-03"

#: What another store gives anew: IDs and counts, and names and times that follow from something else.
_MADE_ANEW: Final = frozenset({
    "ID", "activeUsers", "date", "displayname", "domainID", "homeserver", "inactiveUsers", "mlist", "orgID",
    "virtualUsers",
})  # fmt: skip
_MADE_ANEW_PROPERTIES: Final = ("creationtime", "displaytypeex")

_SELECT_ORGS = "SELECT json_object('name', name, 'description', description) FROM orgs ORDER BY id"
_SELECT_DOMAINS = f"""
    SELECT {domains.document(2)}, o.name, d.disabled_plugins
      FROM domains d
      LEFT JOIN orgs o ON o.id = d.org_id
     ORDER BY d.id
"""
_SELECT_ROLES = "SELECT id, name, description FROM roles ORDER BY id"
_SELECT_PERMISSIONS = """
    SELECT p.{holder}, p.permission, CASE WHEN p.everything <> 0 THEN '*' ELSE coalesce(d.domainname, o.name) END
      FROM {table} p
      LEFT JOIN domains d ON d.id = p.domain_id
      LEFT JOIN orgs o ON o.id = p.org_id
     ORDER BY p.id
"""
_SELECT_TOKENS = """
    SELECT t.id, t.name, u.username, t.hash, t.scoped, t.read_only, t.networks, t.expires
      FROM api_tokens t
      JOIN users u ON u.id = t.user_id
     WHERE t.expires IS NULL OR t.expires > ?
     ORDER BY t.id
"""
_SELECT_USERS = f"""
    SELECT u.id, u.domain_id, d.domainname, u.password, {document(2)}
      FROM users u
      JOIN domains d ON d.id = u.domain_id
     ORDER BY u.id
"""


def read_seed(connection: Connection, now: datetime, *, secrets: bool) -> JSON:
    """The document, without what is empty or a default. Without `secrets` it has no hashes of passwords, no tokens, and
    no fetchmail entries, which need their passwords. Tokens that have expired by `now` are left out.
    """
    return _filled({
        "organisations": [_filled(json.loads(org)) for (org,) in connection.execute(_SELECT_ORGS).fetchall()],
        "domains": [_domain(*row) for row in connection.execute(_SELECT_DOMAINS).fetchall()],
        "roles": _roles(connection),
        "users": [_user(connection, secrets, *row) for row in connection.execute(_SELECT_USERS).fetchall()],
        "tokens": _tokens(connection, now) if secrets else None,
    })  # fmt: skip


def _filled(fields: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> JSON:
    """The fields that say something."""
    return {
        name: value
        for name, value in fields.items()
        if name not in _MADE_ANEW and value not in (None, "", [], {}) and value != (defaults or {}).get(name)
    }


def _domain(found: str, org: str | None, plugins: str) -> JSON:
    fields = {**json.loads(found), "organisation": org, "disabledPlugins": json.loads(plugins)}
    return _filled(fields, {"domainStatus": 0, "chat": False, "endDay": _NO_END})


def _permissions(connection: Connection, table: str, holder: str) -> dict[int, list[JSON | str]]:
    found: dict[int, list[JSON | str]] = {}
    rows = connection.execute(_SELECT_PERMISSIONS.format(table=table, holder=holder)).fetchall()
    for holder_id, name, target in rows:
        found.setdefault(holder_id, []).append(name if target is None else {name: target})
    return found


def _tokens(connection: Connection, now: datetime) -> list[JSON]:
    permissions = _permissions(connection, "api_token_permissions", "token_id")
    found = []
    for token_id, name, owner, hashed, scoped, read_only, networks, expires in connection.execute(
        _SELECT_TOKENS, (int(now.timestamp()),)
    ).fetchall():
        token = {
            "name": name,
            "owner": owner,
            "tokenHash": hashed,
            # Those of a token that has lost all of them cannot be given.
            "permissions": permissions.get(token_id, []),
            "readOnly": bool(read_only),
            "networks": json.loads(networks),
            "expires": expires and f"{datetime.fromtimestamp(expires, now.tzinfo):%Y-%m-%d %H:%M:%S}",
        }
        if token["permissions"] or not scoped:
            found.append(_filled(token, {"readOnly": False, "owner": "admin"}))
    return found


def _roles(connection: Connection) -> list[JSON]:
    permissions = _permissions(connection, "role_permissions", "role_id")
    return [
        _filled({"name": name, "description": description, "permissions": permissions.get(role_id)})
        for role_id, name, description in connection.execute(_SELECT_ROLES).fetchall()
    ]


def _user(
    connection: Connection, secrets: bool, user_id: int, domain_id: int, domainname: str, password: str, found: str
) -> JSON:
    fields: JSON = json.loads(found)
    place, properties = (domain_id, user_id), fields["properties"]
    is_contact = fields["status"] == STATUS_CONTACT
    if is_contact:
        fields |= {"username": properties.pop("smtpaddress", None), "domain": domainname}
    for name in _MADE_ANEW_PROPERTIES:
        properties.pop(name, None)
    fields["altnames"] = [{"altname": each["altname"]} for each in fields["altnames"]]
    fields["fetchmail"] = _fetchmail(connection, user_id, fields["fetchmail"]) if secrets else None
    around = {
        "passwordHash": password if secrets else None,
        "roles": [role["name"] for role in fields.pop("roles")],
        "oof": _filled(find_oof(connection, user_id), OOF_OFF),
        "delegates": _list(grants.read_grants(connection, *place, grants.DELEGATE)),
        "sendas": _list(grants.read_grants(connection, *place, grants.SENDAS)),
        "storeAccess": None if is_contact else [
            member["username"] for member in _list(store_access.read_members(connection, *place))
        ],
        "devices": _devices(connection, place),
    }  # fmt: skip
    return _filled(fields, {**BUILT_IN["user"], "status": 0}) | _filled(around)


def _list(found: bytes | None) -> list[Any]:
    return list(json.loads(found)["data"]) if found else []


def _fetchmail(connection: Connection, user_id: int, entries: list[JSON]) -> list[JSON]:
    """The entries whose passwords can be read, with them."""
    known = list_fetchmail(connection, user_id)
    return [
        {**_filled(entry), "srcPassword": known[entry["ID"]]["srcPassword"]}
        for entry in entries
        if "srcPassword" in known[entry["ID"]]
    ]


def _devices(connection: Connection, place: tuple[int, int]) -> list[JSON]:
    rows = connection.execute("SELECT device_id FROM due_resyncs WHERE user_id = ?", (place[1],)).fetchall()
    due = {device_id for (device_id,) in rows}
    found = []
    for device in _list(read_devices(connection, *place)):
        device_id = device.pop("deviceid")
        state = _filled(device, {"foldersSyncable": 0, "foldersSynced": 0, "wipeStatus": 0})
        found.append({"deviceID": device_id, **state, **({"resync": True} if device_id in due else {})})
    return found
