"""The route table: every operation in one row, with what is needed to use it.

A row without a need does not exist: `public` has to be said.
"""

from typing import Final, NamedTuple

from aiohttp import web

from postroom.app.answers import path_id
from postroom.app.endpoints import AddressOr, Handler, Need
from postroom.app.guard import logged_in
from postroom.app.handlers import (
    authmgr,
    dashboard,
    defaults,
    delegates,
    devices,
    docs,
    domains,
    empty,
    formats,
    ldap,
    ldap_config,
    ldap_sync,
    oof,
    orgs,
    passwords,
    plugins,
    roles,
    service,
    session,
    status,
    store_access,
    store_props,
    sync_policy,
    tasks,
    users,
)
from postroom.app.permissions import Scope
from postroom.app.services.ldap_targets import NO_ORG
from postroom.app.tokens import Caller

BASE: Final = "/api/v1"

public: Final[Need] = None


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


def org_organise(caller: Caller, request: web.Request) -> bool:
    """Administering the organisation of the path."""
    return path_id(request, "ID") in caller.grants.orgs


def directory_read(caller: Caller, request: web.Request) -> bool:
    """Reading what the query names by `domain` or `organization`; without either, reading everything."""
    return caller.grants.system_read or _names_own(caller, request, caller.grants.read)


def directory_write(caller: Caller, request: web.Request) -> bool:
    """Writing there."""
    return caller.grants.system_write or _names_own(caller, request, caller.grants.write)


def _names_own(caller: Caller, request: web.Request, own: Scope) -> bool:
    if "domain" in request.query:
        return _number(request.query["domain"]) in own
    if "organization" not in request.query:
        return False
    org_id = _number(request.query["organization"])
    if org_id == NO_ORG:
        # The operation finds out which domains these are, and keeps to those of the caller.
        return own.everything or bool(own.ids)
    return org_id in caller.grants.orgs


def _number(text: str) -> int | None:
    # What is no number is nobody's; who may do everything is told so when the query is checked.
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def domains_read(caller: Caller, _request: web.Request) -> bool:
    """Reading in any domain at all."""
    return "DomainAdminRead" in caller.grants.capabilities


def passwords_reset(caller: Caller, _request: web.Request) -> bool:
    """Setting passwords everywhere, or writing in any domain at all: the handler knows of whom."""
    return caller.grants.reset_passwords or "DomainAdminWrite" in caller.grants.capabilities


def usernames_read(caller: Caller, request: web.Request) -> bool:
    """Whoever may set passwords, and who reads everything."""
    return passwords_reset(caller, request) or caller.grants.system_read


def _system(caller: Caller, request: web.Request) -> bool:
    """Reading everything, or everything, as the method has it."""
    reading = request.method in ("GET", "HEAD")
    return caller.grants.system_read if reading else caller.grants.system_write


def policy_read(caller: Caller, request: web.Request) -> bool:
    """Reading everything; the defaults for all, which are nobody's, with any domain to read."""
    defaults = request.match_info["username"] == "default"
    return caller.grants.system_read or (defaults and domains_read(caller, request))


#: The ActiveSync server, by its address; others need to be allowed to read or change everything.
from_service: Final = AddressOr(_system)
#: The same; a console's page of a domain wants the default policy.
policy_from_service: Final = AddressOr(policy_read)


class Route(NamedTuple):
    """One row of the table."""

    method: str
    path: str
    handler: Handler
    need: Need


_USERS = "/domains/{domainID}/users"
_USER = "/domains/{domainID}/users/{userID}"
_DEVICE = f"{_USER}/sync/{{deviceID}}"

# aiohttp tries the routes of one prefix in order: what is asked for most stands first.
ROUTES: Final = [
    Route("GET", _USER, users.get_user, domain_read),
    Route("PATCH", _USER, users.patch_user, domain_write),
    Route("DELETE", _USER, users.delete_user, domain_write),
    Route("GET", _USERS, users.list_users, domain_read),
    Route("POST", _USERS, users.create_user, domain_write),
    Route("PUT", f"{_USER}/password", passwords.set_password, domain_write),
    Route("PUT", f"{_USER}/downsync", ldap.put_downsync, domain_write),
    Route("GET", f"{_USER}/oof", oof.get_oof, domain_read),
    Route("PUT", f"{_USER}/oof", oof.put_oof, domain_write),
    Route("GET", f"{_USER}/storeProps", store_props.get_store_props, domain_read),
    Route("PATCH", f"{_USER}/storeProps", store_props.patch_store_props, domain_write),
    Route("DELETE", f"{_USER}/storeProps", store_props.delete_store_props, domain_write),
    Route("GET", f"{_USER}/delegates", delegates.get_delegates, domain_read),
    Route("PUT", f"{_USER}/delegates", delegates.put_delegates, domain_write),
    Route("GET", f"{_USER}/sendas", delegates.get_sendas, domain_read),
    Route("PUT", f"{_USER}/sendas", delegates.put_sendas, domain_write),
    Route("GET", f"{_USER}/storeAccess", store_access.get_store_access, domain_read),
    Route("POST", f"{_USER}/storeAccess", store_access.post_store_access, domain_write),
    Route("PUT", f"{_USER}/storeAccess", store_access.put_store_access, domain_write),
    Route("DELETE", f"{_USER}/storeAccess/{{username}}", store_access.delete_store_access, domain_write),
    Route("GET", f"{_USER}/sync", devices.list_devices, domain_read),
    Route("DELETE", f"{_USER}/sync", devices.delete_devices, domain_write),
    Route("DELETE", _DEVICE, devices.delete_device, domain_write),
    Route("PUT", f"{_DEVICE}/resync", devices.put_resync, domain_write),
    Route("POST", f"{_DEVICE}/wipe", devices.post_wipe, domain_write),
    Route("DELETE", f"{_DEVICE}/wipe", devices.delete_wipe, domain_write),
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
    Route("GET", "/service/syncPolicy/{username}", service.get_sync_policy, policy_from_service),
    Route("GET", "/service/wipe/{username}", service.get_wipe, from_service),
    Route("POST", "/service/wipe/{username}", service.post_wipe, from_service),
    Route("GET", "/service/lastconnect/{username}", service.get_last_connect, from_service),
    Route("GET", "/service/userinfo/{username}", service.get_user_information, from_service),
    Route("PUT", "/service/sync/{username}/{deviceID}", service.put_sync, from_service),
    Route("GET", "/service/disabledPlugins/{username}", plugins.get_disabled_plugins_of_username, from_service),
    Route("GET", "/service/oof/{username}", oof.get_oof_of_username, from_service),
    Route("GET", "/system/mconf/ldap", ldap_config.get_config, system_read),
    Route("PUT", "/system/mconf/ldap", ldap_config.put_config, system_write),
    Route("DELETE", "/system/mconf/ldap", ldap_config.delete_config, system_write),
    Route("GET", "/system/mconf/authmgr", authmgr.get_authmgr, system_read),
    Route("PUT", "/system/mconf/authmgr", authmgr.put_authmgr, system_write),
    Route("DELETE", "/system/mconf/authmgr", authmgr.delete_authmgr, system_write),
    Route("GET", "/system/orgs/{ID}/ldap", ldap_config.get_org_config, system_read),
    Route("PUT", "/system/orgs/{ID}/ldap", ldap_config.put_org_config, system_write),
    Route("DELETE", "/system/orgs/{ID}/ldap", ldap_config.delete_org_config, system_write),
    Route("GET", "/domains/ldap/search", ldap.search, directory_read),
    Route("POST", "/domains/ldap/importUser", ldap.import_user, directory_write),
    Route("GET", "/domains/ldap/check", ldap.check_users, directory_read),
    Route("DELETE", "/domains/ldap/check", ldap.delete_orphans, directory_write),
    Route("GET", "/domains/ldap/dump", ldap.dump, directory_read),
    Route("POST", "/domains/ldap/downsync", ldap_sync.sync_all, system_write),
    Route("POST", "/domains/{domainID}/ldap/downsync", ldap_sync.sync_domain, domain_write),
    Route("POST", "/system/orgs/{ID}/ldap/downsync", ldap_sync.sync_org, org_organise),
    Route("GET", "/tasq/status", tasks.get_status, public),
    Route("POST", "/tasq/start", tasks.start_queue, system_write),
    Route("POST", "/tasq/stop", tasks.stop_queue, system_write),
    # Everyone who is logged in sees the tasks they have started; the handlers ask whose they are.
    Route("GET", "/tasq/tasks", tasks.list_tasks, logged_in),
    Route("GET", "/tasq/tasks/{ID}", tasks.get_task, logged_in),
    Route("DELETE", "/tasq/tasks/{ID}", tasks.remove_task, logged_in),
    Route("POST", "/tasq/tasks/{ID}/cancel", tasks.cancel_task, logged_in),
    # The operations around users that a client needs.
    Route("GET", "/system/users", users.list_all_users, system_read),
    Route("GET", "/system/roles/permissions", roles.list_permissions, system_read),
    Route("GET", "/system/roles", roles.list_roles, system_read),
    Route("POST", "/system/roles", roles.create_role, system_write),
    Route("GET", "/system/roles/{ID}", roles.get_role, system_read),
    Route("PATCH", "/system/roles/{ID}", roles.patch_role, system_write),
    Route("DELETE", "/system/roles/{ID}", roles.delete_role, system_write),
    # Whoever writes in the domain only must not give themselves a role.
    Route("PATCH", f"{_USER}/roles", roles.patch_user_roles, system_write),
    Route("GET", "/users", passwords.list_usernames, usernames_read),
    Route("PUT", "/passwd/{username}", passwords.put_passwd_of, passwords_reset),
    # The web console of a domain administrator shows nothing without these two.
    Route("GET", "/defaults/createParams", defaults.get_defaults, domains_read),
    Route("GET", "/system/servers", empty.list_servers, domains_read),
    Route("PUT", "/defaults/createParams", defaults.put_defaults, system_write),
    Route("PATCH", "/defaults/createParams", defaults.patch_defaults, system_write),
    Route("GET", "/defaults/createParams/{domainID}", defaults.get_domain_defaults, domain_read),
    Route("PUT", "/defaults/createParams/{domainID}", defaults.put_domain_defaults, domain_write),
    Route("PATCH", "/defaults/createParams/{domainID}", defaults.patch_domain_defaults, domain_write),
    Route("GET", "/defaults/storeLangs", defaults.get_store_langs, public),
    Route("GET", "/chkFormat", formats.check_format, public),
    Route("GET", "/system/license", status.get_license, system_read),
    Route("GET", "/domains/{domainID}/mlists", empty.list_mlists, domain_read),
    Route("GET", "/domains/{domainID}/folders", empty.list_folders, domain_read),
    Route("GET", "/domains/{domainID}/folders/tree", empty.get_folder_tree, domain_read),
    Route("GET", "/domains/{domainID}/dnsCheck", dashboard.get_dns_check, domain_read),
    Route("GET", "/domains/{domainID}/disabledPlugins", plugins.get_disabled_plugins, domain_read),
    Route("PUT", "/domains/{domainID}/disabledPlugins", plugins.put_disabled_plugins, domain_write),
    Route("GET", "/system/dashboard", dashboard.get_dashboard, system_read),
    Route("GET", "/system/dashboard/services", dashboard.list_services, system_read),
    Route("GET", "/system/sync/top", dashboard.list_seen_last, system_read),
]
