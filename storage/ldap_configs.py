"""Configurations of directories: one for all, and organisations' own."""

import json
import sqlite3
from dataclasses import dataclass, field
from typing import Any

from postroom.storage.database import Database


@dataclass(frozen=True, slots=True)
class LdapConfigRow:
    """A stored configuration: the `ldapConfig` document without the bind password, and that."""

    document: dict[str, Any]
    bind_pass: str | None = field(repr=False)

    def full(self) -> dict[str, Any]:
        """The document with the password, for the directory client alone."""
        connection = dict(self.document.get("connection", {}))
        if self.bind_pass is not None:
            connection["bindPass"] = self.bind_pass
        return {**self.document, "connection": connection}


async def select_ldap_config(database: Database, org_id: int | None) -> LdapConfigRow | None:
    """The configuration of an organisation itself, or (None) the one for all; None when there is none."""
    row = await database.fetch_row("SELECT document, bind_pass FROM ldap_configs WHERE org_id IS ?", (org_id,))
    return LdapConfigRow(json.loads(row[0]), row[1]) if row else None


def find_ldap_config(connection: sqlite3.Connection, org_id: int | None) -> LdapConfigRow | None:
    """The same as it stands inside a transaction."""
    row = connection.execute("SELECT document, bind_pass FROM ldap_configs WHERE org_id IS ?", (org_id,)).fetchone()
    return LdapConfigRow(json.loads(row[0]), row[1]) if row else None


async def select_effective_ldap_config(database: Database, org_id: int | None) -> LdapConfigRow | None:
    """What counts for the users of an organisation: its own configuration, or else the one for all."""
    row = await database.fetch_row(
        """
        SELECT document, bind_pass FROM ldap_configs
         WHERE org_id IS ? OR org_id IS NULL
         ORDER BY org_id IS NULL
         LIMIT 1
        """,
        (org_id,),
    )
    return LdapConfigRow(json.loads(row[0]), row[1]) if row else None


async def select_ldap_configs_of_name(database: Database, domainname: str | None) -> list[LdapConfigRow]:
    """What counts for whoever could have a name in this domain, which need not exist; of one without a domain (None),
    every configuration there is.
    """
    if domainname is None:
        rows = await database.fetch_all("SELECT document, bind_pass FROM ldap_configs ORDER BY id")
    else:
        rows = await database.fetch_all(
            """
            SELECT document, bind_pass FROM ldap_configs
             WHERE org_id IS (SELECT org_id FROM domains WHERE domainname = ?) OR org_id IS NULL
             ORDER BY org_id IS NULL
             LIMIT 1
            """,
            (domainname,),
        )
    return [LdapConfigRow(json.loads(row[0]), row[1]) for row in rows]


async def select_configured_orgs(database: Database) -> frozenset[int]:
    """The organisations that have a configuration of their own."""
    rows = await database.fetch_all("SELECT org_id FROM ldap_configs WHERE org_id IS NOT NULL")
    return frozenset(row[0] for row in rows)


def set_ldap_config(connection: sqlite3.Connection, org_id: int | None, row: LdapConfigRow) -> None:
    """Stores a configuration in the place of the former one."""
    delete_ldap_config(connection, org_id)
    connection.execute(
        "INSERT INTO ldap_configs (org_id, document, bind_pass) VALUES (?, ?, ?)",
        (org_id, json.dumps(row.document), row.bind_pass),
    )


def delete_ldap_config(connection: sqlite3.Connection, org_id: int | None) -> None:
    """Removes a configuration; none there is fine."""
    connection.execute("DELETE FROM ldap_configs WHERE org_id IS ?", (org_id,))
