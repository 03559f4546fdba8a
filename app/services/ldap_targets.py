"""Resolves a sync target to the directories to ask and the domains that each of them serves."""

from collections.abc import Container
from dataclasses import dataclass

from postroom.app.auth.permissions import EVERYTHING, IdScope
from postroom.app.directory.client import Directory
from postroom.app.directory.mapping import Entry, map_entry
from postroom.app.directory.scope import Scope
from postroom.app.directory.values import SMTP_ADDRESS
from postroom.app.errors import ForbiddenError, InvalidError, MisconfiguredError, NotFoundError, UnavailableError
from postroom.app.services.context import Context
from postroom.schemas.addresses import parse_domain
from postroom.schemas.values.domains import STATUS_DELETED
from postroom.storage import domains, ldap_configs, orgs
from postroom.storage.domains import DomainRow

#: The organisation of domains that have none, as the API writes it.
NO_ORG = 0


@dataclass(frozen=True, slots=True)
class Target:
    """A directory and the scope of users to ask it about."""

    directory: Directory
    scope: Scope


@dataclass(frozen=True, slots=True)
class SyncTarget:
    """A domain, an organisation (0: the domains without one), or everything (both None).

    `reach` has the domains that the caller may read, or change. Other domains are left out.
    """

    domain_id: int | None = None
    org_id: int | None = None
    reach: IdScope = EVERYTHING


async def target_named(context: Context, domain: str | None, org: str | None) -> SyncTarget:
    """The sync target for the name of a domain or of an organisation; "0" means the domains without one.

    Raises InvalidError (both are given), NotFoundError.
    """
    if domain is not None and org is not None:
        raise InvalidError("Name a domain or an organisation, not both: a domain determines its directory")
    if domain is not None:
        try:
            name, _ = parse_domain(domain)
        except ValueError as error:
            raise NotFoundError(f"There is no domain {domain}: {error}") from None
        row = await context.database.read(domains.find_domain_by_name, name)
        if row is None:
            raise NotFoundError.of("domain", domain)
        return SyncTarget(domain_id=row.id)
    if org is not None:
        org_id = await context.database.read(orgs.find_org_by_name, org)
        if org_id is None and org == str(NO_ORG):
            org_id = NO_ORG
        if org_id is None:
            raise NotFoundError.of("organisation", org)
        return SyncTarget(org_id=org_id)
    return SyncTarget()


async def targets(context: Context, sync_target: SyncTarget, *, create: bool = False, lang: str = "") -> list[Target]:
    """A target for each directory concerned; deleted domains are left out.

    Raises NotFoundError (domain, organisation), ForbiddenError (none of the domains without an organisation is within
    reach), InvalidError (the domain is deleted), MisconfiguredError (there is no directory).
    """
    rows = await context.database.read(domains.list_domains)
    groups = _groups(sync_target, rows, await ldap_configs.select_configured_orgs(context.database))
    if sync_target.org_id and not await context.database.read(orgs.is_org, sync_target.org_id):
        raise NotFoundError.of("organisation", sync_target.org_id)
    names = {row.domainname: row for row in rows}
    found = []
    for org_id, members in groups.items():
        try:
            directory = await context.directories.of_organisation(org_id)
        except UnavailableError:
            # The other groups may still have a directory.
            if len(groups) == 1:
                raise
            continue
        scope = Scope({row.id: row for row in members}, names, create, lang, _limited(sync_target.reach))
        found.append(Target(directory, scope))
    if not found:
        raise MisconfiguredError("No LDAP directory is configured")
    return found


async def is_known_to(context: Context, reach: IdScope, entry: Entry, directory: Directory) -> bool:
    """Like is_shown, for a caller without targets."""
    rows = await context.database.read(domains.list_domains)
    scope = Scope({}, {row.domainname: row for row in rows}, reach=_limited(reach))
    return is_shown(entry, Target(directory, scope))


def is_shown(entry: Entry, target: Target) -> bool:
    """Whether the caller may see an object, because it could belong to a domain within their reach.

    The address that would become the username decides, and for a contact also its own address. A caller who may read
    everything sees all objects, even those that fit no domain.
    """
    scope, config = target.scope, target.directory.config
    if scope.reach is None:
        return True
    try:
        mapped = map_entry(entry, config, scope.accepts)
    except InvalidError:
        return False
    if not mapped.is_contact:
        return scope.shows([mapped.username], outside=False)
    addresses = [mapped.username, str(mapped.properties.get(SMTP_ADDRESS, mapped.username))]
    return config.contacts and scope.shows(addresses, outside=True)


def _limited(reach: IdScope) -> IdScope | None:
    return None if reach.everything else reach


def is_concerned(row: DomainRow, sync_target: SyncTarget) -> bool:
    """Whether a domain belongs to the sync target. A deleted domain never does."""
    if row.domain_status == STATUS_DELETED or row.id not in sync_target.reach:
        return False
    if sync_target.domain_id is not None:
        return row.id == sync_target.domain_id
    return sync_target.org_id is None or (row.org_id or NO_ORG) == sync_target.org_id


def _groups(
    sync_target: SyncTarget, rows: list[DomainRow], configured: Container[int | None]
) -> dict[int | None, list[DomainRow]]:
    """Organisation whose configuration applies (None: the default one) -> the domains concerned."""
    if sync_target.domain_id is not None:
        row = next((row for row in rows if row.id == sync_target.domain_id), None)
        if row is None:
            raise NotFoundError.of("domain", sync_target.domain_id)
        if row.domain_status == STATUS_DELETED:
            raise InvalidError(f"The domain {row.domainname} is deleted")
        return {row.org_id: [row]}
    found = [row for row in rows if is_concerned(row, sync_target)]
    if sync_target.org_id == NO_ORG and not found and not sync_target.reach.everything:
        raise ForbiddenError("You do not have the permission for any domain without an organisation")
    if sync_target.org_id is not None:
        return {sync_target.org_id or None: found}
    groups: dict[int | None, list[DomainRow]] = {None: []}
    for row in found:
        groups.setdefault(row.org_id if row.org_id in configured else None, []).append(row)
    return groups
