"""Updating one user from the directory."""

import logging
import sqlite3

from postroom.app.context import Context
from postroom.app.directory.config import DirectoryConfig
from postroom.app.directory.mapping import Entry, MappedUser, map_entry
from postroom.app.directory.object_id import escape_object_id, parse_object_id
from postroom.app.errors import InvalidError, NotFoundError
from postroom.app.services import names
from postroom.app.services.names import MAGIC_LDAP
from postroom.app.services.users import find_domain_or_raise, find_user_or_raise, user_not_found
from postroom.schemas.users import STATUS_CONTACT
from postroom.storage import proptags, users
from postroom.storage.domains import DomainRow
from postroom.storage.properties import delete_property, set_property
from postroom.storage.text import fold
from postroom.storage.users import UserRow

log = logging.getLogger("postroom.ldap")


async def downsync_user(context: Context, domain_id: int, user_id: int, object_id: str | None, lang: str) -> bytes:
    """Updates a user from the linked object, or links them to `object_id` first; returns the user's document.

    Raises NotFoundError (user, or object gone), InvalidError (not linked, broken ID, unusable object), UnavailableError
    (no directory, or it is away). The user is untouched whenever it raises.
    """
    user = await users.select_user_row(context.database, domain_id, user_id)
    if user is None:
        raise user_not_found(domain_id, user_id)
    linked = object_id or user.ldap_id
    if linked is None:
        raise InvalidError(f"The user {user.username} is not linked to LDAP: name an object by the parameter ID")
    raw = parse_object_id(linked)
    directory = await context.directories.of_organisation(user.org_id)
    entry = await directory.fetch(raw)
    if entry is None:
        raise NotFoundError(
            f"There is no object {escape_object_id(raw)} in the directory; {user.username} stays as it was"
        )
    document, warnings = await context.database.write(
        _apply, domain_id, user_id, escape_object_id(raw), entry, directory.config, lang
    )
    for warning in warnings:
        log.warning("Update of %s from LDAP: %s", user.username, warning)
    return document


def _apply(
    connection: sqlite3.Connection,
    domain_id: int,
    user_id: int,
    object_id: str,
    entry: Entry,
    config: DirectoryConfig,
    lang: str,
) -> tuple[bytes, list[str]]:
    user = find_user_or_raise(connection, domain_id, user_id)
    domain = find_domain_or_raise(connection, domain_id)
    mapped = map_entry(entry, config, lambda name: names.check_alias_domain(connection, domain, name))
    other = users.find_user_of_object(connection, domain_id, object_id)
    if other not in (None, user_id):
        raise InvalidError(f"The object {object_id} is linked to user {other} already")
    warnings = list(mapped.warnings)
    users.update_fields(connection, user.id, {"ldapID": object_id, **({} if user.lang else {"lang": lang})})
    if user.status != STATUS_CONTACT:
        user = _rename(connection, user, domain, mapped)
        _set_names(connection, user, mapped, config, warnings)
    for tag in mapped.removed:
        delete_property(connection, user.id, tag)
    for tag, value in mapped.properties.items():
        proptag = proptags.find(f"{tag:#010x}")
        if proptag is not None:
            set_property(connection, user.id, proptag, value)  # type: ignore[arg-type]
    return users.read_user(connection, user.id), warnings


def _rename(connection: sqlite3.Connection, user: UserRow, domain: DomainRow, mapped: MappedUser) -> UserRow:
    """The directory says what the user is called; an address in another domain is no name for a user of this one."""
    username = names.parse_username(mapped.username, domain)
    names.check_username(connection, username, user.id)
    # An alias that becomes the name is an alias no more.
    remaining = [pair for pair in users.list_addresses(connection, user.id, "alias") if pair[0] != username]
    users.replace_addresses(connection, user.id, "alias", remaining)
    return names.rename(connection, user, username)


def _set_names(
    connection: sqlite3.Connection,
    user: UserRow,
    mapped: MappedUser,
    config: DirectoryConfig,
    warnings: list[str],
) -> None:
    # Without an attribute for aliases the directory does not say what they are: those there stay.
    before = [address for address, _ in users.list_addresses(connection, user.id, "alias")]
    kept = [] if config.aliases else before
    users.replace_addresses(connection, user.id, "alias", ())
    for alias in dict.fromkeys([*kept, *mapped.aliases]):
        if fold(alias) == fold(user.username) or users.is_address_taken(connection, alias, user.id):
            warnings.append(f"the alias {alias} is in use already and was left out")
        else:
            users.insert_address(connection, user.id, "alias", alias)
    names.follow_aliases(connection, user, before)
    altnames = [pair for pair in users.list_addresses(connection, user.id, "altname") if pair[1] != MAGIC_LDAP]
    if mapped.altname and fold(mapped.altname) not in {fold(name) for name, _ in altnames}:
        if users.is_altname_taken(connection, mapped.altname, user.id):
            warnings.append(f"the altname {mapped.altname} is in use already and was left out")
        else:
            altnames.append((mapped.altname, MAGIC_LDAP))
    users.replace_addresses(connection, user.id, "altname", altnames)
