"""Writing what the directory says of one user. Each function is part of one transaction."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from postroom.app.directory.config import DirectoryConfig
from postroom.app.directory.differences import IDENTITY, Changes, differences
from postroom.app.directory.mapping import STORAGE_QUOTA, MappedUser
from postroom.app.directory.values import SMTP_ADDRESS
from postroom.app.errors import ConflictError, InvalidError
from postroom.app.transactions import authority, names, tenants
from postroom.app.transactions.authority import Actor
from postroom.app.transactions.lookups import find_domain_or_raise, find_user_or_raise
from postroom.app.transactions.users import Change, add_user, set_properties
from postroom.schemas.addresses import domain_of
from postroom.schemas.values import proptags
from postroom.schemas.values.proptags import Value
from postroom.schemas.values.users import STATUS_CONTACT, STATUS_NORMAL
from postroom.storage import ldap_users, users
from postroom.storage.integrity import rule_of
from postroom.storage.ldap_users import StoredUser
from postroom.storage.sqlite import sqlite3
from postroom.storage.users import UserRow

#: What is done to a user whose link or names change, for the sentence of authority.refusal().
LINKS = "changes their link to LDAP, or their names from there"

#: Nobody's ID: a user to be has none yet.
_NEW_USER = -1


@dataclass(frozen=True, slots=True)
class Linking:
    """The object to link to, as the API shows its ID, and how its entry is to be understood."""

    object_id: str
    mapped: MappedUser
    config: DirectoryConfig
    #: Who asks for it.
    actor: Actor
    #: Domain -> its organisation when the directory was asked.
    orgs: Mapping[int, int | None]
    #: For a user without a language.
    lang: str = ""


def update_from_directory(connection: sqlite3.Connection, domain_id: int, user_id: int, linking: Linking) -> list[str]:
    """Links the user and writes what differs; returns sentences about what was left out.

    Raises NotFoundError (user), InvalidError (the object is somebody else's, or the name cannot be the user's),
    ConflictError (see check_unmoved), ForbiddenError (link or names would change, and the user may do more than the
    actor).
    """
    user = find_user_or_raise(connection, domain_id, user_id)
    check_unmoved(linking.orgs, domain_id, user.org_id)
    _check_object(connection, domain_id, linking.object_id, user_id)
    stored = ldap_users.find_stored_user(connection, user_id)
    if stored is None:  # pragma: no cover - found above, in the same transaction
        raise LookupError(user_id)
    changes, warnings = _differences(connection, stored, linking)
    if not IDENTITY.isdisjoint(changes.shown(stored)):
        authority.check_may_change(connection, linking.actor, user_id, user.username, LINKS)
    with _rules_explained(linking.object_id):
        _write(connection, user, stored, changes)
    return warnings


def create_from_directory(
    connection: sqlite3.Connection, domain_id: int, linking: Linking, change: Change
) -> tuple[int, list[str]]:
    """A new user or contact, linked; returns the ID and sentences about what was left out.

    Raises NotFoundError (domain), InvalidError (any rule of new users), ConflictError (see check_unmoved).
    """
    mapped = linking.mapped
    # What a contact is called here follows from its address, which need not be in a domain of ours.
    address = mapped.properties.get(SMTP_ADDRESS, mapped.username) if mapped.is_contact else mapped.username
    status = STATUS_CONTACT if mapped.is_contact else STATUS_NORMAL
    check_unmoved(linking.orgs, domain_id, find_domain_or_raise(connection, domain_id).org_id)
    _check_object(connection, domain_id, linking.object_id, None)
    new_user = StoredUser(_NEW_USER, domain_id, mapped.username, status, "", None)
    changes, warnings = _differences(connection, new_user, linking)
    properties: dict[int, Value | None] = {**dict.fromkeys(mapped.removed), **changes.properties}
    if mapped.default_quota is not None and not mapped.is_contact:
        properties[STORAGE_QUOTA] = mapped.default_quota
    data = {
        "username": str(address),
        "status": status,
        "ldapID": linking.object_id,
        "properties": {proptags.by_tag(tag): value for tag, value in properties.items()},
    }
    further_names = [("alias", alias, 0) for alias in changes.aliases or ()]
    further_names += [("altname", altname, magic) for altname, magic in changes.altnames or ()]
    with _rules_explained(linking.object_id):
        user_id = add_user(connection, domain_id, data, None, change, further_names)
    if linking.lang and not find_user_or_raise(connection, domain_id, user_id).lang:
        # Only now is it known whether the create defaults have one.
        users.update_fields(connection, user_id, {"lang": linking.lang})
    return user_id, warnings


def check_unmoved(orgs: Mapping[int, int | None], domain_id: int, org_id: int | None) -> None:
    """Raises ConflictError when a domain has another organisation than when the directory was asked: from then on
    another directory may count for it, and what this one says is no longer about its users.
    """
    if orgs.get(domain_id) != org_id:
        raise ConflictError("The domain has moved to another organisation meanwhile; nothing of it was changed")


@contextmanager
def _rules_explained(object_id: str) -> Iterator[None]:
    """What the database refuses after all, as the rule that stands behind it: InvalidError."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        field, reason = rule_of(error)
        shown = f"{field}: {reason}" if field else reason
        raise InvalidError(f"The object {object_id} cannot be taken over: {shown}") from error


def _check_object(connection: sqlite3.Connection, domain_id: int, object_id: str, user_id: int | None) -> None:
    other = users.find_user_of_object(connection, domain_id, object_id)
    if other not in (None, user_id):
        raise InvalidError(f"The object {object_id} is linked to user {other} already")


def _differences(connection: sqlite3.Connection, stored: StoredUser, linking: Linking) -> tuple[Changes, list[str]]:
    mapped = linking.mapped
    wanted = [mapped.username, *mapped.aliases, *([mapped.altname] if mapped.altname else [])]
    owners = ldap_users.list_owners(connection, wanted)
    may_have = tenants.may_have(connection, domain_of(stored.username), linking.actor)
    return differences(stored, mapped, linking.config, owners, linking.object_id, linking.lang, may_have)


def _write(connection: sqlite3.Connection, user: UserRow, stored: StoredUser, changes: Changes) -> None:
    users.update_fields(connection, user.id, changes.fields)
    # Aliases go first and come last: one may become the name, and the former name an alias.
    if changes.aliases is not None:
        users.replace_addresses(connection, user.id, "alias", ())
    if changes.username is not None:
        user = names.rename(connection, user, changes.username)
    if changes.aliases is not None:
        users.replace_addresses(connection, user.id, "alias", [(alias, 0) for alias in changes.aliases])
    if changes.username is not None or changes.aliases is not None:
        names.follow(connection, user, [stored.username, *stored.aliases])
    if changes.altnames is not None:
        users.replace_addresses(connection, user.id, "altname", changes.altnames)
    values = {proptags.by_tag(tag): value for tag, value in changes.properties.items()}
    set_properties(connection, user.id, {**values, **{proptags.by_tag(tag): None for tag in changes.removed}})
