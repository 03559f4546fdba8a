"""The route table: every operation in one row, with what is needed to use it.

A row without a need does not exist: `public` has to be said.
"""

from typing import Final, NamedTuple

from aiohttp import web

from postroom.app.answers import path_id
from postroom.app.endpoints import Handler, Need
from postroom.app.handlers import docs, domains, ldap, orgs, passwords, session, status, sync_policy, users
from postroom.app.tokens import Caller

BASE: Final = "/api/v1"

public: Final[Need] = None


def logged_in(_caller: Caller, _request: web.Request) -> bool:
    """Whoever is logged in."""
    return True


def system_read(caller: Caller, _request: web.Request) -> bool:
    """Reading everything."""
    return caller.grants.system_read


def system_write(caller: Caller, _request: web.Request) -> bool:
    """Everything."""
    return caller.grants.system_write


def domain_read(caller: Caller, request: web.Request) -> bool:
    """Reading in the domain of the path."""
    return path_id(request, "domainID") in caller.grants.read


def domain_write(caller: Caller, request: web.Request) -> bool:
    """Writing in the domain of the path."""
    return path_id(request, "domainID") in caller.grants.write


def domain_organise(caller: Caller, request: web.Request) -> bool:
    """Changing the domain itself: its organisation's administrators."""
    return path_id(request, "domainID") in caller.grants.organise


def domain_remove(caller: Caller, request: web.Request) -> bool:
    """Marking the domain as deleted, or purging it: the handler knows which is asked for."""
    domain_id = path_id(request, "domainID")
    return domain_id in caller.grants.organise or domain_id in caller.grants.purge


class Route(NamedTuple):
    """One row of the table."""

    method: str
    path: str
    handler: Handler
    need: Need


_USERS = "/domains/{domainID}/users"
_USER = "/domains/{domainID}/users/{userID}"

# aiohttp tries the routes of one prefix in order: what is asked for most stands first.
ROUTES: Final = [
    Route("GET", _USER, users.get_user, domain_read),
    Route("PATCH", _USER, users.patch_user, domain_write),
    Route("DELETE", _USER, users.delete_user, domain_write),
    Route("GET", _USERS, users.list_users, domain_read),
    Route("POST", _USERS, users.create_user, domain_write),
    Route("PUT", f"{_USER}/password", passwords.set_password, domain_write),
    Route("PUT", f"{_USER}/downsync", ldap.put_downsync, domain_write),
    Route("GET", "/domains/{domainID}/syncPolicy", sync_policy.get_domain_sync_policy, domain_read),
    Route("GET", "/status", status.get_status, public),
    Route("GET", "/about", status.get_about, public),
    Route("GET", "/openapi.json", docs.get_openapi, public),
    Route("POST", "/login", session.post_login, public),
    Route("GET", "/profile", session.get_profile, logged_in),
    # With `user` and `old` in the body this is a login of its own; without, the handler asks who is calling.
    Route("PUT", "/passwd", session.put_passwd, public),
    Route("GET", "/domains", domains.list_own_domains, logged_in),
    # Shows to each the domains they may read, which may be none.
    Route("GET", "/system/domains", domains.list_domains, logged_in),
    Route("POST", "/system/domains", domains.create_domain, system_write),
    Route("GET", "/system/domains/{domainID}", domains.get_domain, domain_read),
    Route("PATCH", "/system/domains/{domainID}", domains.patch_domain, domain_organise),
    Route("DELETE", "/system/domains/{domainID}", domains.delete_domain, domain_remove),
    Route("GET", "/system/orgs", orgs.list_orgs, system_read),
    Route("POST", "/system/orgs", orgs.create_org, system_write),
    Route("GET", "/system/orgs/{ID}", orgs.get_org, system_read),
    Route("PATCH", "/system/orgs/{ID}", orgs.patch_org, system_write),
    Route("DELETE", "/system/orgs/{ID}", orgs.delete_org, system_write),
    Route("GET", "/system/mconf/ldap", ldap.get_config, system_read),
    Route("PUT", "/system/mconf/ldap", ldap.put_config, system_write),
    Route("DELETE", "/system/mconf/ldap", ldap.delete_config, system_write),
]
