"""The rules of mail domains; each function is one transaction."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from postroom.app.errors import InvalidError
from postroom.app.transactions import authority, borders
from postroom.app.transactions.authority import Actor
from postroom.app.transactions.lookups import find_domain_or_raise
from postroom.app.transactions.versions import Expected, check_match
from postroom.schemas.domains import READ_ONLY
from postroom.schemas.values.domains import STATUS_DELETED
from postroom.storage import create_defaults, disabled_plugins, domains, grants, orgs, roles
from postroom.storage.engine import Connection

#: Counters in the document of a domain.
_COUNTERS: Final = ("activeUsers", "inactiveUsers", "virtualUsers")


def versioned(document: bytes) -> bytes:
    """What makes a version of a domain: its document without the numbers of its users, which nobody edits."""
    return orjson.dumps({name: value for name, value in orjson.loads(document).items() if name not in _COUNTERS})


def create_domain(connection: Connection, data: Mapping[str, Any], create_role: bool) -> bytes:
    """Creates a domain from a loaded DomainCreateSchema; the create defaults fill in missing fields.

    Returns its document. Raises InvalidError.
    """
    data = {**create_defaults.read_defaults(connection, None)["domain"], **data}
    if "maxUser" not in data:
        raise InvalidError.field("maxUser", "Missing data for required field.")
    domainname, displayname = data["domainname"]
    if domains.find_domain_by_name(connection, domainname) is not None:
        raise InvalidError.field("domainname", f"There is a domain {domainname} already.")
    domain_id = domains.insert_domain(connection, domainname, displayname, _columns(connection, data))
    if create_role:
        name = roles.free_name(connection, f"Domain Admin ({domainname})")
        role_id = roles.insert_role(connection, name, f"Administers the domain {displayname}", made_for=domain_id)
        roles.insert_permission(connection, role_id, "DomainAdmin", domain_id=domain_id)
    return domains.read_domain(connection, domain_id)


def patch_domain(
    connection: Connection,
    domain_id: int,
    data: Mapping[str, Any],
    system_admin: bool,
    actor: Actor,
    allowed: Expected = None,
) -> bytes:
    """Changes the fields given; returns the document.

    Raises NotFoundError, InvalidError, PreconditionFailedError, ForbiddenError (the status changes, and a user in the
    domain has more permissions than the actor).
    """
    domain = find_domain_or_raise(connection, domain_id)
    document = domains.read_domain(connection, domain_id)
    check_match(allowed, versioned(document))
    current = orjson.loads(document)
    for name in READ_ONLY:
        if name in data and data[name] != current[name]:
            raise InvalidError.field(name, "Cannot be changed.")
    if "domainname" in data and data["domainname"][0] != domain.domainname:
        raise InvalidError.field("domainname", "A domain cannot change its name.")
    if not system_admin and data.get("orgID", current["orgID"]) != current["orgID"]:
        raise InvalidError.field("orgID", "Only a system administrator moves a domain to another organisation.")
    if data.get("domainStatus", domain.domain_status) != domain.domain_status:
        authority.check_may_close(connection, actor, domain_id)
    with borders.guarded(connection):
        domains.update_domain(connection, domain_id, _columns(connection, data))
    return domains.read_domain(connection, domain_id)


def mark_domain_deleted(connection: Connection, domain_id: int, actor: Actor) -> None:
    """Marks a domain as deleted and ends all logins of its users. PATCH `domainStatus: 0` restores the domain, but not
    the logins.

    Raises NotFoundError, ForbiddenError (a user in the domain has more permissions than the actor).
    """
    find_domain_or_raise(connection, domain_id)
    authority.check_may_close(connection, actor, domain_id)
    domains.update_domain(connection, domain_id, {"domainStatus": STATUS_DELETED})


def purge_domain(connection: Connection, domain_id: int, actor: Actor) -> None:
    """Removes the domain, its users with all their data, and the role made for it.

    Raises NotFoundError, ForbiddenError (a user in the domain has more permissions than the actor).
    """
    find_domain_or_raise(connection, domain_id)
    authority.check_may_close(connection, actor, domain_id, purge=True)
    grants.delete_grants_to_users(connection, "domain_id = ?", domain_id)
    roles.delete_role_made_for(connection, domain_id)
    with borders.guarded(connection):
        domains.delete_domain(connection, domain_id)


def replace_disabled_plugins(connection: Connection, domain_id: int, names: Sequence[str]) -> None:
    """Replaces the disabled plugins of a domain, in the given order without duplicates. Raises NotFoundError."""
    find_domain_or_raise(connection, domain_id)
    disabled_plugins.set_disabled_plugins(connection, domain_id, list(dict.fromkeys(names)))


def _columns(connection: Connection, data: Mapping[str, Any]) -> dict[str, Any]:
    if data.get("homeserver") is not None:
        raise InvalidError.field("homeserver", "There are no other servers; only null is possible.")
    columns = dict(data)
    if "orgID" in columns:
        columns["orgID"] = columns["orgID"] or None
        if columns["orgID"] is not None and not orgs.is_org(connection, columns["orgID"]):
            raise InvalidError.missing("orgID", "organisation", columns["orgID"])
    for name in ("syncPolicy", "selfService"):
        if columns.get(name) is not None:
            columns[name] = orjson.dumps(columns[name]).decode()
    return columns
