"""The rules of organisations; each function is one transaction."""

from collections.abc import Mapping
from typing import Any

from postroom.app.errors import InvalidError, NotFoundError
from postroom.app.transactions import borders
from postroom.storage import domains, orgs
from postroom.storage.sqlite import sqlite3


def create_org(connection: sqlite3.Connection, data: Mapping[str, Any]) -> bytes:
    """Creates an organisation from a loaded OrgCreateSchema; returns its document. Raises InvalidError."""
    _check_name(connection, data, None)
    org_id = orgs.insert_org(connection, data["name"], data.get("description"))
    _set_domains(connection, org_id, data)
    return orgs.read_org(connection, org_id)


def patch_org(connection: sqlite3.Connection, org_id: int, data: Mapping[str, Any]) -> bytes:
    """Changes the fields given; returns the document. Raises NotFoundError, InvalidError."""
    if not orgs.is_org(connection, org_id):
        raise NotFoundError.of("organisation", org_id)
    if data.get("ID", org_id) != org_id:
        raise InvalidError.field("ID", "Cannot be changed.")
    _check_name(connection, data, org_id)
    orgs.update_org(connection, org_id, data)
    _set_domains(connection, org_id, data)
    return orgs.read_org(connection, org_id)


def delete_org(connection: sqlite3.Connection, org_id: int) -> None:
    """Removes an organisation; its domains stay, without an organisation. Raises NotFoundError."""
    if not orgs.is_org(connection, org_id):
        raise NotFoundError.of("organisation", org_id)
    with borders.guarded(connection):
        orgs.delete_org(connection, org_id)


def _check_name(connection: sqlite3.Connection, data: Mapping[str, Any], org_id: int | None) -> None:
    if "name" in data and orgs.is_name_taken(connection, data["name"], org_id):
        raise InvalidError.field("name", f"There is another organisation called {data['name']!r}.")


def _set_domains(connection: sqlite3.Connection, org_id: int, data: Mapping[str, Any]) -> None:
    if "domains" in data:
        for domain_id in data["domains"]:
            if domains.find_domain(connection, domain_id) is None:
                raise InvalidError.missing("domains", "domain", domain_id)
        with borders.guarded(connection):
            orgs.set_domains(connection, org_id, data["domains"])
