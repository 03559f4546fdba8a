"""Configurations of directories: the default one, and those of organisations."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from postroom.storage.database import Database
from postroom.storage.engine import Connection
from postroom.storage.keyring import UnreadableSecretError
from postroom.storage.sealed import place_of, seal, unseal


@dataclass(frozen=True, slots=True)
class LdapConfigRow:
    """A stored configuration: the `ldapConfig` document without the bind password, and the password."""

    document: dict[str, Any]
    bind_pass: str | None = field(repr=False)
    #: The stored password can no longer be decrypted: it has to be entered again.
    is_locked: bool = False

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "LdapConfigRow":
        """A document that may have the password in it."""
        connection = dict(document["connection"])
        bind_pass = connection.pop("bindPass", None)
        return cls({**document, "connection": connection}, bind_pass)

    def full(self) -> dict[str, Any]:
        """The document with the password, only for the directory client."""
        connection = dict(self.document.get("connection", {}))
        if self.bind_pass is not None:
            connection["bindPass"] = self.bind_pass
        return {**self.document, "connection": connection}


async def select_ldap_config(database: Database, org_id: int | None) -> LdapConfigRow | None:
    """The configuration of an organisation itself, or (None) the default one. None when there is none."""
    return await database.look_up_by(find_ldap_config, org_id)


def find_ldap_config(connection: Connection, org_id: int | None) -> LdapConfigRow | None:
    """Like select_ldap_config, inside a transaction."""
    row = connection.execute(
        "SELECT org_id, document, bind_pass FROM ldap_configs WHERE org_id IS NOT DISTINCT FROM ?", (org_id,)
    ).fetchone()
    return _opened(connection, *row) if row else None


async def select_effective_ldap_config(database: Database, org_id: int | None) -> LdapConfigRow | None:
    """The configuration for the users of an organisation: its own, or else the default one."""
    return await database.look_up_by(_find_effective_ldap_config, org_id)


def _find_effective_ldap_config(connection: Connection, org_id: int | None) -> LdapConfigRow | None:
    row = connection.execute(
        """
        SELECT org_id, document, bind_pass FROM ldap_configs
         WHERE org_id IS NOT DISTINCT FROM ? OR org_id IS NULL
         ORDER BY org_id IS NULL
         LIMIT 1
        """,
        (org_id,),
    ).fetchone()
    return _opened(connection, *row) if row else None


def _opened(connection: Connection, org_id: int | None, document: str, bind_pass: str | None) -> LdapConfigRow:
    if bind_pass is None:
        return LdapConfigRow(json.loads(document), None)
    try:
        return LdapConfigRow(json.loads(document), unseal(connection, _place(org_id), bind_pass))
    except UnreadableSecretError:
        # The configuration can still be read and replaced.
        return LdapConfigRow(json.loads(document), None, is_locked=True)


def _place(org_id: int | None) -> str:
    return place_of("ldap_configs", "bind_pass", org_id or 0)


async def select_ldap_configs_of_name(database: Database, domainname: str | None) -> list[LdapConfigRow]:
    """The configuration for names in this domain, which need not exist. For names without a domain (None), all
    configurations.
    """
    return await database.look_up_by(_list_of_name, domainname)


def _list_of_name(connection: Connection, domainname: str | None) -> list[LdapConfigRow]:
    if domainname is None:
        return [row for _, row in list_ldap_configs(connection)]
    domain = connection.execute("SELECT org_id FROM domains WHERE domainname = ?", (domainname,)).fetchone()
    found = _find_effective_ldap_config(connection, domain[0] if domain else None)
    return [] if found is None else [found]


def list_ldap_configs(connection: Connection) -> list[tuple[int | None, LdapConfigRow]]:
    """All configurations, each with its organisation; None: for all that have none of their own."""
    rows = connection.execute("SELECT org_id, document, bind_pass FROM ldap_configs ORDER BY id").fetchall()
    return [(row[0], _opened(connection, *row)) for row in rows]


async def select_configured_orgs(database: Database) -> frozenset[int]:
    """The organisations that have a configuration of their own."""
    rows = await database.fetch_all("SELECT org_id FROM ldap_configs WHERE org_id IS NOT NULL")
    return frozenset(row[0] for row in rows)


def set_ldap_config(connection: Connection, org_id: int | None, row: LdapConfigRow) -> None:
    """Stores a configuration, replacing the former one."""
    delete_ldap_config(connection, org_id)
    bind_pass = None if row.bind_pass is None else seal(connection, _place(org_id), row.bind_pass)
    connection.execute(
        "INSERT INTO ldap_configs (org_id, document, bind_pass) VALUES (?, ?, ?)",
        (org_id, json.dumps(row.document), bind_pass),
    )


def delete_ldap_config(connection: Connection, org_id: int | None) -> None:
    """Removes a configuration, if it exists."""
    connection.execute("DELETE FROM ldap_configs WHERE org_id IS NOT DISTINCT FROM ?", (org_id,))
