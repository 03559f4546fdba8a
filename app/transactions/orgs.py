"""The rules of organisations; each function is one transaction."""

from collections.abc import Mapping
from typing import Any

from postroom.app.errors import InvalidError
from postroom.app.transactions import borders
from postroom.app.transactions.named import ORG, check_changes, check_exists, check_new
from postroom.storage import domains, orgs
from postroom.storage.engine import Connection


def create_org(connection: Connection, data: Mapping[str, Any]) -> bytes:
    """Creates an organisation from a loaded OrgCreateSchema; returns its document. Raises InvalidError."""
    check_new(connection, ORG, data)
    org_id = orgs.insert_org(connection, data["name"], data.get("description"))
    _set_domains(connection, org_id, data)
    return orgs.read_org(connection, org_id)


def patch_org(connection: Connection, org_id: int, data: Mapping[str, Any]) -> bytes:
    """Changes the fields given; returns the document. Raises NotFoundError, InvalidError."""
    check_changes(connection, ORG, org_id, data)
    orgs.update_org(connection, org_id, data)
    _set_domains(connection, org_id, data)
    return orgs.read_org(connection, org_id)


def delete_org(connection: Connection, org_id: int) -> None:
    """Removes an organisation; its domains stay, without an organisation. Raises NotFoundError."""
    check_exists(connection, ORG, org_id)
    with borders.guarded(connection):
        orgs.delete_org(connection, org_id)


def _set_domains(connection: Connection, org_id: int, data: Mapping[str, Any]) -> None:
    if "domains" in data:
        for domain_id in data["domains"]:
            if domains.find_domain(connection, domain_id) is None:
                raise InvalidError.missing("domains", "domain", domain_id)
        with borders.guarded(connection):
            orgs.set_domains(connection, org_id, data["domains"])
