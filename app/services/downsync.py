"""Updates one user from the directory."""

import logging

from postroom.app.auth.tokens import Caller
from postroom.app.directory.config import DirectoryConfig
from postroom.app.directory.mapping import Entry, MappedUser, map_entry
from postroom.app.directory.object_id import escape_object_id, parse_object_id
from postroom.app.directory.plan import NO_CONTACTS
from postroom.app.errors import InvalidError, NotFoundError
from postroom.app.services.context import Context
from postroom.app.services.ldap_targets import is_known_to
from postroom.app.transactions import authority, names
from postroom.app.transactions.authority import Actor
from postroom.app.transactions.ldap_users import Linking, update_from_directory
from postroom.app.transactions.lookups import find_domain_or_raise, user_not_found
from postroom.schemas.values.users import STATUS_CONTACT
from postroom.storage import users
from postroom.storage.engine import Connection
from postroom.storage.users import UserRow

log = logging.getLogger("postroom.ldap")


async def downsync_user(
    context: Context, domain_id: int, user_id: int, object_id: str | None, lang: str, caller: Caller
) -> bytes:
    """Updates a user from the linked object, or links them to `object_id` first; returns the user's document.

    Raises NotFoundError (no such user, or no such object that the caller may see), InvalidError (not linked, broken ID,
    unusable object), UnavailableError (no directory, or it is away), ForbiddenError (the caller would change the
    identity of a user with more permissions), ConflictError (the domain has moved to another organisation meanwhile).
    Any error leaves the user untouched.
    """
    user = await users.select_user_row(context.database, domain_id, user_id)
    if user is None:
        raise user_not_found(domain_id, user_id)
    linked = object_id or user.ldap_id
    if linked is None:
        raise InvalidError(f"The user {user.username} is not linked to LDAP: name an object by the parameter ID")
    raw = parse_object_id(linked)
    directory = await context.directories.of_organisation(user.org_id)
    if user.status == STATUS_CONTACT and not directory.config.contacts:
        raise InvalidError(f"The contact {user.username} stays as it was. {NO_CONTACTS}")
    entry = await directory.fetch(raw)
    if entry is None or not await is_known_to(context, caller.grants.write, entry, directory):
        raise NotFoundError(
            f"There is no object {escape_object_id(raw)} in the directory; {user.username} stays as it was"
        )
    document, warnings = await context.database.write(
        _update, user, escape_object_id(raw), entry, directory.config, lang, caller
    )
    log_warnings(user.username, warnings)
    return document


def log_warnings(username: str, warnings: list[str]) -> None:
    """Logs which values of the directory could not be taken over."""
    for warning in warnings:
        log.warning("Update of %s from LDAP: %s", username, warning)


def _mapped(connection: Connection, domain_id: int, entry: Entry, config: DirectoryConfig) -> MappedUser:
    """An entry, mapped to a user of the domain. Raises NotFoundError (domain), InvalidError (no username)."""
    domain = find_domain_or_raise(connection, domain_id)
    return map_entry(entry, config, lambda _own, other: names.check_alias_domain(connection, domain, other))


def _update(
    connection: Connection,
    user: UserRow,
    object_id: str,
    entry: Entry,
    config: DirectoryConfig,
    lang: str,
    actor: Actor,
) -> tuple[bytes, list[str]]:
    # The caller's permissions may have changed while the directory was asked.
    authority.check_may_write(connection, actor, [user.domain_id])
    mapped = _mapped(connection, user.domain_id, entry, config)
    linking = Linking(object_id, mapped, config, actor, {user.domain_id: user.org_id}, lang)
    warnings = update_from_directory(connection, user.domain_id, user.id, linking)
    return users.read_user(connection, user.id), warnings
