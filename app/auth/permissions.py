"""What roles allow. Pure functions: no database, no HTTP.

A role has permissions, each for a domain, an organisation, everything ("*") or without a target. The permissions of all
roles of a user become the user's Grants.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from postroom.schemas.values import roles

#: The permissions that a role can have, and the kind of object in their `params`.
PERMISSIONS: Final = roles.PERMISSIONS

_SYSTEM_ADMIN = (
    "SystemAdminWrite",
    "SystemAdminRead",
    "DomainAdminWrite",
    "DomainAdminRead",
    "DomainPurge",
    "OrgAdmin",
    "ResetPasswd",
)

#: Capabilities that the profile shows for each permission.
CAPABILITIES: Final[Mapping[str, tuple[str, ...]]] = {
    "SystemAdmin": _SYSTEM_ADMIN,
    "SystemAdminRO": ("SystemAdminRead", "DomainAdminRead"),
    "OrgAdmin": ("OrgAdmin", "DomainAdminWrite", "DomainAdminRead"),
    "DomainAdmin": ("DomainAdminWrite", "DomainAdminRead"),
    "DomainAdminRO": ("DomainAdminRead",),
    "DomainPurge": ("DomainPurge",),
    "ResetPasswd": ("ResetPasswd",),
}


@dataclass(frozen=True, slots=True)
class IdScope:
    """Some domains or organisations; with `everything` all of them, also future ones."""

    ids: frozenset[int] = frozenset()
    everything: bool = False

    def __contains__(self, domain_id: object) -> bool:
        return self.everything or domain_id in self.ids

    def __bool__(self) -> bool:
        return self.everything or bool(self.ids)


@dataclass(frozen=True, slots=True)
class Permission:
    """One permission of a role, for a domain, an organisation or everything; all unset: without a target."""

    name: str
    domain_id: int | None = None
    org_id: int | None = None
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Grants:
    """Everything that a user may do."""

    system_read: bool = False
    system_write: bool = False
    read: IdScope = IdScope()
    write: IdScope = IdScope()
    #: Domains of the organisations that the user administers.
    org_admin_domains: IdScope = IdScope()
    #: Organisations that the user administers.
    orgs: IdScope = IdScope()
    purge: IdScope = IdScope()
    reset_passwords: bool = False
    capabilities: tuple[str, ...] = ()


EVERYTHING = IdScope(everything=True)


def grants(permissions: Iterable[Permission], domains_of_org: Mapping[int, Iterable[int]]) -> Grants:
    """The grants that the permissions give together. `domains_of_org`: organisation ID -> IDs of its domains."""
    held = [permission for permission in permissions if permission.name in PERMISSIONS]
    names = {permission.name for permission in held}
    capabilities = {capability for name in names for capability in CAPABILITIES[name]}
    if "SystemAdmin" in names:
        return Grants(True, True, EVERYTHING, EVERYTHING, EVERYTHING, EVERYTHING, EVERYTHING, True, _SYSTEM_ADMIN)
    org_admin_domains = _scope(held, "OrgAdmin", domains_of_org)
    write = _union(org_admin_domains, _scope(held, "DomainAdmin", domains_of_org))
    read = _union(write, _scope(held, "DomainAdminRO", domains_of_org))
    return Grants(
        system_read="SystemAdminRO" in names,
        read=EVERYTHING if "SystemAdminRO" in names else read,
        write=write,
        org_admin_domains=org_admin_domains,
        orgs=_orgs(held),
        purge=_scope(held, "DomainPurge", domains_of_org),
        reset_passwords="ResetPasswd" in names,
        capabilities=tuple(sorted(capabilities)),
    )


def covers(one: Grants, other: Grants) -> bool:
    """Whether `one` allows everything that `other` allows."""
    scopes = ("read", "write", "org_admin_domains", "orgs", "purge")
    flags = ("system_read", "system_write", "reset_passwords")
    return all(_contains(getattr(one, name), getattr(other, name)) for name in scopes) and all(
        getattr(one, name) or not getattr(other, name) for name in flags
    )


def both(one: Grants, other: Grants) -> Grants:
    """What `one` and `other` allow alike."""
    shared = Grants(
        system_read=one.system_read and other.system_read,
        system_write=one.system_write and other.system_write,
        read=_shared(one.read, other.read),
        write=_shared(one.write, other.write),
        org_admin_domains=_shared(one.org_admin_domains, other.org_admin_domains),
        orgs=_shared(one.orgs, other.orgs),
        purge=_shared(one.purge, other.purge),
        reset_passwords=one.reset_passwords and other.reset_passwords,
    )
    left = {
        "SystemAdminWrite": shared.system_write,
        "SystemAdminRead": shared.system_read,
        "DomainAdminWrite": bool(shared.write),
        "DomainAdminRead": bool(shared.read),
        "DomainPurge": bool(shared.purge),
        "OrgAdmin": bool(shared.orgs),
        "ResetPasswd": shared.reset_passwords,
    }
    return replace(shared, capabilities=tuple(each for each in one.capabilities if left[each]))


def outside(allowed: Grants, domain_id: int) -> Grants:
    """The grants without those for this one domain."""
    return replace(
        allowed,
        read=_without(allowed.read, domain_id),
        write=_without(allowed.write, domain_id),
        org_admin_domains=_without(allowed.org_admin_domains, domain_id),
        purge=_without(allowed.purge, domain_id),
    )


def _without(scope: IdScope, domain_id: int) -> IdScope:
    return scope if scope.everything else IdScope(scope.ids - {domain_id})


def _shared(one: IdScope, other: IdScope) -> IdScope:
    if one.everything:
        return other
    return one if other.everything else IdScope(one.ids & other.ids)


def _contains(one: IdScope, other: IdScope) -> bool:
    return one.everything or (not other.everything and other.ids <= one.ids)


def _scope(held: Iterable[Permission], name: str, domains_of_org: Mapping[int, Iterable[int]]) -> IdScope:
    ids: set[int] = set()
    for permission in held:
        if permission.name != name:
            continue
        if permission.everything:
            return EVERYTHING
        if permission.domain_id is not None:
            ids.add(permission.domain_id)
        if permission.org_id is not None:
            ids.update(domains_of_org.get(permission.org_id, ()))
    return IdScope(frozenset(ids))


def _orgs(held: Iterable[Permission]) -> IdScope:
    administered = [permission for permission in held if permission.name == "OrgAdmin"]
    if any(permission.everything for permission in administered):
        return EVERYTHING
    return IdScope(frozenset(permission.org_id for permission in administered if permission.org_id is not None))


def _union(one: IdScope, other: IdScope) -> IdScope:
    return IdScope(one.ids | other.ids, one.everything or other.everything)


#: The grants of the system administrator, user 0, who needs no role.
ADMINISTRATOR = grants([Permission("SystemAdmin")], {})
