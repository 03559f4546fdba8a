"""Writes a user's data from the directory. Each function is part of one transaction."""

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
from postroom.storage.engine import Connection
from postroom.storage.faults import IntegrityError
from postroom.storage.integrity import rule_of
from postroom.storage.ldap_users import StoredUser
from postroom.storage.users import UserRow

#: The change of a user's link or names, for the message of authority.refusal().
LINKS = "change their link to LDAP, or their names from there"

#: Placeholder: a new user has no ID yet.
_NEW_USER = -1


@dataclass(frozen=True, slots=True)
class Linking:
    """The object to link to (its ID in the format of the API), its mapped entry, and for whom."""

    object_id: str
    mapped: MappedUser
    config: DirectoryConfig
    #: The user who requests the change.
    actor: Actor
    #: Domain -> its organisation at the time when the directory was asked.
    orgs: Mapping[int, int | None]
    #: Language of a user who has none.
    lang: str = ""


def update_from_directory(connection: Connection, domain_id: int, user_id: int, linking: Linking) -> list[str]:
    """Links the user and writes the differences; returns sentences about the values left out.

    Raises NotFoundError (user), InvalidError (the object is linked to another user, or the user cannot have the name),
    ConflictError (see check_unmoved), ForbiddenError (link or names would change, and the user has more permissions
    than the actor).
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
    connection: Connection, domain_id: int, linking: Linking, change: Change
) -> tuple[int, list[str]]:
    """Creates a linked user or contact; returns the ID and sentences about the values left out.

    Raises NotFoundError (domain), InvalidError (any rule of new users), ConflictError (see check_unmoved).
    """
    mapped = linking.mapped
    # A contact is created by its own address, which may be in a foreign domain.
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
        # The create defaults come first, and add_user() has just applied them.
        users.update_fields(connection, user_id, {"lang": linking.lang})
    return user_id, warnings


def check_unmoved(orgs: Mapping[int, int | None], domain_id: int, org_id: int | None) -> None:
    """Raises ConflictError when the domain has moved to another organisation since the directory was asked. Another
    directory may serve it now, so the answer may not be about its users.
    """
    if orgs.get(domain_id) != org_id:
        raise ConflictError("The domain has moved to another organisation meanwhile; nothing of it was changed")


@contextmanager
def _rules_explained(object_id: str) -> Iterator[None]:
    """Turns a violated constraint of the database into an InvalidError that names the rule."""
    try:
        yield
    except IntegrityError as error:
        field, reason = rule_of(error)
        shown = f"{field}: {reason}" if field else reason
        raise InvalidError(f"The object {object_id} cannot be taken over: {shown}") from error


def _check_object(connection: Connection, domain_id: int, object_id: str, user_id: int | None) -> None:
    other = users.find_user_of_object(connection, domain_id, object_id)
    if other not in (None, user_id):
        raise InvalidError(f"The object {object_id} is linked to user {other} already")


def _differences(connection: Connection, stored: StoredUser, linking: Linking) -> tuple[Changes, list[str]]:
    mapped = linking.mapped
    wanted = [mapped.username, *mapped.aliases, *([mapped.altname] if mapped.altname else [])]
    owners = ldap_users.list_owners(connection, wanted)
    may_have = tenants.may_have(connection, domain_of(stored.username), linking.actor)
    return differences(stored, mapped, linking.config, owners, linking.object_id, linking.lang, may_have)


def _write(connection: Connection, user: UserRow, stored: StoredUser, changes: Changes) -> None:
    users.update_fields(connection, user.id, changes.fields)
    # Delete aliases first and insert them last: an alias may become the username, and the old username an alias.
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
