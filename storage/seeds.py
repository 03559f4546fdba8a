"""Reads everything in a store, from which another store can begin: as one document, see schemas/seeds.py, or record by
record.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from postroom.schemas.values.self_service import DEFAULT
from postroom.storage import domains
from postroom.storage.auth import AUTH_BACKEND, find_setting
from postroom.storage.create_defaults import read_defaults
from postroom.storage.engine import Connection
from postroom.storage.ldap_configs import list_ldap_configs
from postroom.storage.seed_extent import JSON, Extent, filled, told
from postroom.storage.seed_users import list_users

#: The last day of a domain that has none, as in the table.
_NO_END: Final = "3333-03-03"

_SELECT_ORGS = "SELECT id, json_object('ID', id, 'name', name, 'description', description) FROM orgs ORDER BY id"
_SELECT_DOMAINS = f"""
    SELECT d.id, {domains.document(2)}, o.name, d.disabled_plugins
      FROM domains d
      LEFT JOIN orgs o ON o.id = d.org_id
     ORDER BY d.id
"""
_SELECT_ROLES = """
    SELECT r.id, r.name, r.description, d.domainname
      FROM roles r
      LEFT JOIN domains d ON d.id = r.made_for
     ORDER BY r.id
"""
_SELECT_PERMISSIONS = """
    SELECT p.{holder}, p.permission, CASE WHEN p.everything <> 0 THEN '*' ELSE coalesce(d.domainname, o.name) END
      FROM {table} p
      LEFT JOIN domains d ON d.id = p.domain_id
      LEFT JOIN orgs o ON o.id = p.org_id
     ORDER BY p.id
"""
_SELECT_TOKENS = """
    SELECT t.id, t.name, u.username, t.hash, t.scoped, t.read_only, t.networks, t.expires,
           t.created, t.last_used, t.last_source
      FROM api_tokens t
      JOIN users u ON u.id = t.user_id
     WHERE t.expires IS NULL OR t.expires > ?
     ORDER BY t.id
"""


def read_seed(connection: Connection, extent: Extent) -> JSON:
    """The document, without what is empty or a default."""
    found: JSON = {section: [] for section in SECTIONS.values()}
    for kind, data in list_records(connection, extent):
        found[SECTIONS[kind]].append(data)
    (settings,) = found.pop(SECTIONS["settings"]) or [{}]
    return filled(settings | found)


_TABLES: Final = ("orgs", "domains", "roles", "users", "api_tokens")
#: The administrator is user 0.
_ANY: Final = "SELECT 1 FROM {table} WHERE id > 0 LIMIT 1"

#: Kind of record -> section of a seed, in the order in which they are stored.
SECTIONS: Final = {
    "organisation": "organisations",
    "domain": "domains",
    "role": "roles",
    "user": "users",
    "token": "tokens",  # nosec B105 - the name of a section
    "settings": "settings",
}


def list_records(connection: Connection, extent: Extent) -> Iterator[tuple[str, JSON]]:
    """(kind, data) of everything, each after what it refers to, except users, who refer to each other."""
    directories = _directories(connection, extent)
    for org_id, org in connection.execute(_SELECT_ORGS).fetchall():
        yield "organisation", told({**json.loads(org), "ldap": directories.get(org_id)}, extent)
    for row in connection.execute(_SELECT_DOMAINS).fetchall():
        yield "domain", _domain(connection, extent, *row)
    for role in _roles(connection, extent):
        yield "role", role
    for user in list_users(connection, extent):
        yield "user", user
    if extent.secrets:
        for token in _tokens(connection, extent):
            yield "token", token
    settings = {
        "ldap": directories.get(None),
        "createDefaults": _create_defaults(connection, None),
        "authBackendSelection": find_setting(connection, AUTH_BACKEND),
    }
    if any(settings.values()):
        yield "settings", filled(settings)


def is_empty(connection: Connection) -> bool:
    """Whether nothing of all that is stored."""
    return not any(connection.execute(_ANY.format(table=table)).fetchone() for table in _TABLES)


def count_records(connection: Connection) -> int:
    """About how many there are: most are users."""
    (count,) = connection.execute("SELECT count(*) FROM users").fetchone()
    return int(count)


def _directories(connection: Connection, extent: Extent) -> dict[int | None, JSON]:
    """The configuration of each organisation; None: that of all others."""
    if extent.secrets:
        return {org_id: row.full() for org_id, row in list_ldap_configs(connection)}
    rows = connection.execute("SELECT org_id, document FROM ldap_configs").fetchall()
    return {org_id: json.loads(document) for org_id, document in rows}


def _create_defaults(connection: Connection, domain_id: int | None) -> JSON:
    return filled(read_defaults(connection, domain_id))


def _domain(connection: Connection, extent: Extent, domain_id: int, found: str, org: str | None, plugins: str) -> JSON:
    fields = {
        **json.loads(found),
        "organisation": org,
        "disabledPlugins": json.loads(plugins),
        "createDefaults": _create_defaults(connection, domain_id),
    }
    return told(fields, extent, {"domainStatus": 0, "chat": False, "endDay": _NO_END, "selfService": [*DEFAULT]})


def _permissions(connection: Connection, table: str, holder: str) -> dict[int, list[JSON | str]]:
    found: dict[int, list[JSON | str]] = {}
    rows = connection.execute(_SELECT_PERMISSIONS.format(table=table, holder=holder)).fetchall()
    for holder_id, name, target in rows:
        found.setdefault(holder_id, []).append(name if target is None else {name: target})
    return found


def _tokens(connection: Connection, extent: Extent) -> Iterator[JSON]:
    permissions = _permissions(connection, "api_token_permissions", "token_id")
    rows = connection.execute(_SELECT_TOKENS, (int(extent.now.timestamp()),)).fetchall()
    for token_id, name, owner, hashed, scoped, read_only, networks, expires, created, last_used, source in rows:
        token = {
            "ID": token_id,
            "name": name,
            "owner": owner,
            "tokenHash": hashed,
            "permissions": permissions.get(token_id),
            "readOnly": bool(read_only),
            "networks": json.loads(networks),
            "expires": expires and f"{datetime.fromtimestamp(expires, extent.now.tzinfo):%Y-%m-%d %H:%M:%S}",
            **({"created": created, "lastUsed": last_used, "lastSource": source} if extent.exact else {}),
        }
        # Those of a token that has lost all of them cannot be given.
        if token["permissions"] or not scoped:
            yield told(token, extent, {"readOnly": False, "owner": "admin"})


def _roles(connection: Connection, extent: Extent) -> Iterator[JSON]:
    permissions = _permissions(connection, "role_permissions", "role_id")
    for role_id, name, description, made_for in connection.execute(_SELECT_ROLES).fetchall():
        role = {
            "ID": role_id,
            "name": name,
            "description": description,
            "permissions": permissions.get(role_id, []),
            "madeFor": made_for,
        }
        yield told(role, extent)
