"""The guards of the route table: who may use an operation."""

from typing import Final

from aiohttp import web

from postroom.app.auth.permissions import IdScope
from postroom.app.auth.tokens import Caller
from postroom.app.services.ldap_targets import NO_ORG
from postroom.app.web.responses import path_id
from postroom.app.web.routing import READS, AddressOr


def system_read(caller: Caller, _request: web.Request) -> bool:
    """Reading everything."""
    return caller.grants.system_read


def system_write(caller: Caller, _request: web.Request) -> bool:
    """Reading and changing everything."""
    return caller.grants.system_write


def domain_read(caller: Caller, request: web.Request) -> bool:
    """Reading in the domain of the path."""
    return path_id(request, "domainID") in caller.grants.read


def domain_write(caller: Caller, request: web.Request) -> bool:
    """Writing in the domain of the path."""
    return path_id(request, "domainID") in caller.grants.write


def domain_org_admin(caller: Caller, request: web.Request) -> bool:
    """Changing the domain itself: for administrators of its organisation."""
    return path_id(request, "domainID") in caller.grants.org_admin_domains


def domain_remove(caller: Caller, request: web.Request) -> bool:
    """Marking the domain as deleted, or purging it; the handler checks which of the two the request asks for."""
    domain_id = path_id(request, "domainID")
    return domain_id in caller.grants.org_admin_domains or domain_id in caller.grants.purge


def org_admin(caller: Caller, request: web.Request) -> bool:
    """Administering the organisation of the path."""
    return path_id(request, "ID") in caller.grants.orgs


def directory_read(caller: Caller, request: web.Request) -> bool:
    """Reading in the `domain` or `organization` of the query; without either, reading everything."""
    return caller.grants.system_read or _names_own(caller, request, caller.grants.read)


def directory_write(caller: Caller, request: web.Request) -> bool:
    """Writing in the `domain` or `organization` of the query; without either, changing everything."""
    return caller.grants.system_write or _names_own(caller, request, caller.grants.write)


def _names_own(caller: Caller, request: web.Request, own: IdScope) -> bool:
    if "domain" in request.query:
        return _number(request.query["domain"]) in own
    if "organization" not in request.query:
        return False
    org_id = _number(request.query["organization"])
    if org_id == NO_ORG:
        # The operation finds these domains, and leaves out those that the caller may not use.
        return bool(own)
    return org_id in caller.grants.orgs


def _number(text: str) -> int | None:
    # None, which is in nobody's grants, for anything but a number. Callers with all rights get the error of the schema.
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def domains_read(caller: Caller, _request: web.Request) -> bool:
    """Reading in at least one domain, whichever it is."""
    return "DomainAdminRead" in caller.grants.capabilities


def passwords_reset(caller: Caller, _request: web.Request) -> bool:
    """Setting passwords everywhere, or writing in at least one domain; the handler checks the user concerned."""
    return caller.grants.reset_passwords or "DomainAdminWrite" in caller.grants.capabilities


def usernames_read(caller: Caller, request: web.Request) -> bool:
    """Setting passwords (see passwords_reset), or reading everything."""
    return passwords_reset(caller, request) or caller.grants.system_read


def _system(caller: Caller, request: web.Request) -> bool:
    """Reading everything for GET and HEAD, changing everything for other methods."""
    reading = request.method in READS
    return caller.grants.system_read if reading else caller.grants.system_write


def policy_read(caller: Caller, request: web.Request) -> bool:
    """Reading everything; for the policy `default`, which belongs to no user, reading in one domain is enough."""
    defaults = request.match_info["username"] == "default"
    return caller.grants.system_read or (defaults and domains_read(caller, request))


#: Admits the ActiveSync server by its address; other callers must be allowed to read or change everything.
from_service: Final = AddressOr(_system)
#: The same, but a domain administrator may read the default policy: the web console's page of a domain shows it.
policy_from_service: Final = AddressOr(policy_read)
