"""The rules of users. Each function is one transaction and runs on the writer."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, Final, NamedTuple

import orjson

from postroom.app.auth.tokens import ADMIN_ID
from postroom.app.errors import InvalidError
from postroom.app.transactions import authority, fetchmail, names
from postroom.app.transactions.authority import Actor
from postroom.app.transactions.lookups import find_domain_or_raise, find_user_and_domain_or_raise, find_user_or_raise
from postroom.app.transactions.user_identity import change_addresses, check_authority, check_names_of
from postroom.app.transactions.versions import Expected, check_match
from postroom.schemas.create_defaults import overlay
from postroom.schemas.users import READ_ONLY
from postroom.schemas.values import proptags
from postroom.schemas.values.create_defaults import NONE
from postroom.schemas.values.domains import STATUS_DELETED
from postroom.schemas.values.proptags import PropTag, Value
from postroom.schemas.values.users import DISPLAY_CONTACT, DISPLAY_MAILBOX, STATUS_CONTACT, STATUS_NORMAL
from postroom.storage import create_defaults, grants, users
from postroom.storage.domains import DomainRow
from postroom.storage.engine import Connection
from postroom.storage.properties import count_octets, delete_property, write_properties
from postroom.storage.users import Name, UserRow


class Change(NamedTuple):
    """Who changes a user, and when. `system_admin`: only then `homeserver` counts. `now`: the time stamp to write."""

    actor: Actor
    system_admin: bool
    now: str
    #: Versions of the user to which the change applies (If-Match); None: any.
    allowed: Expected = None


def create_user(
    connection: Connection,
    domain_id: int,
    data: Mapping[str, Any],
    password: str | None,
    change: Change,
) -> bytes:
    """Creates a user from a loaded UserCreateSchema and the password's hash; returns the new user's document.

    The create defaults of the domain fill in missing fields, then the create defaults of all domains.
    Raises NotFoundError (domain), InvalidError (any rule).
    """
    return users.read_user(connection, add_user(connection, domain_id, data, password, change))


def add_user(
    connection: Connection,
    domain_id: int,
    data: Mapping[str, Any],
    password: str | None,
    change: Change,
    further_names: Sequence[Name] = (),
) -> int:
    """Like create_user, but returns only the ID. Does not check whether `further_names` are free."""
    domain = find_domain_or_raise(connection, domain_id)
    if data.get("domainID", domain_id) != domain_id:
        raise InvalidError.field("domainID", "Is not the domain of the path.")
    if domain.domain_status == STATUS_DELETED:
        raise InvalidError(f"The domain {domain.domainname} is deleted")
    status = data.get("status", STATUS_NORMAL)
    defaults, properties = _create_defaults(connection, domain_id, status)
    properties[_proptag("creationtime")] = change.now
    properties[_proptag("displaytypeex")] = DISPLAY_CONTACT if status == STATUS_CONTACT else DISPLAY_MAILBOX
    if status == STATUS_CONTACT:
        username = names.contact_name(users.next_user_id(connection))
        if "username" in data:
            # The contact's own address, in any domain.
            properties[_proptag("smtpaddress")] = names.parse_address(data["username"], data["username"])
    else:
        if "username" not in data:
            raise InvalidError.field("username", "Missing data for required field.")
        username = names.parse_username(data["username"], domain)
        names.check_username(connection, username, None)
    if status == STATUS_NORMAL:
        _check_limit(domain)
    given = {name: value for name, value in data.items() if name not in ("username", "domainID", "password")}
    given = defaults | given
    given["properties"] = _without_none(properties | data.get("properties", {}))
    user_id = users.insert_user(connection, domain_id, username, password, _fields(given), further_names)
    user = UserRow(user_id, domain_id, username, STATUS_NORMAL, None, "", domain.org_id)
    _apply(connection, user, domain, given, change, is_new=True)
    return user_id


def patch_user(connection: Connection, domain_id: int, user_id: int, data: Mapping[str, Any], change: Change) -> bytes:
    """Changes only the fields given (a loaded UserPatchSchema); returns the user's document.

    Raises NotFoundError, InvalidError, PreconditionFailedError, ForbiddenError (see authority.py).
    """
    change_user(connection, domain_id, user_id, data, change)
    return users.read_user(connection, user_id)


def change_user(connection: Connection, domain_id: int, user_id: int, data: Mapping[str, Any], change: Change) -> None:
    """Like patch_user, but returns nothing."""
    user, domain = find_user_and_domain_or_raise(connection, domain_id, user_id)
    check_authority(connection, user, domain, data, change.actor)
    if change.allowed is not None or any(name in data for name in READ_ONLY):
        current = users.read_user(connection, user_id)
        check_match(change.allowed, current)
        _check_read_only(orjson.loads(current), data)
    status = data.get("status", user.status)
    if (status == STATUS_CONTACT) != (user.status == STATUS_CONTACT):
        raise InvalidError.field("status", "A contact cannot become a mailbox, nor a mailbox a contact.")
    if status == STATUS_NORMAL and user.status != STATUS_NORMAL:
        _check_limit(domain)
    if data.get("ldapID") not in (None, user.ldap_id):
        raise InvalidError.field("ldapID", "Can only be removed here; an update from LDAP sets it.")
    users.update_fields(connection, user.id, _fields(data))
    _apply(connection, user, domain, data, change)


def delete_user(connection: Connection, domain_id: int, user_id: int, allowed: Expected, actor: Actor) -> str:
    """Removes a user, every row that refers to them, and every grant to them; returns the username.

    Raises NotFoundError, InvalidError (ID 0), PreconditionFailedError, ForbiddenError (see authority.py).
    """
    if user_id == ADMIN_ID:
        raise InvalidError("The system administrator cannot be deleted")
    user = find_user_or_raise(connection, domain_id, user_id)
    authority.check_may_change(connection, actor, user_id, user.username, "delete them")
    if allowed is not None:
        check_match(allowed, users.read_user(connection, user_id))
    remove_user(connection, user)
    return user.username


def remove_user(connection: Connection, user: UserRow) -> None:
    """Removes a user, every row that refers to them, and every grant to them."""
    grants.delete_grants_to_users(connection, "id = ?", user.id)
    users.delete_user(connection, user.id)


#: Most octets that all properties of one user may take together.
MOST_OCTETS: Final = 1024 * 1024


def set_properties(connection: Connection, user_id: int, properties: Mapping[PropTag, Value | None]) -> None:
    """Writes properties; None removes one, if it exists. Raises InvalidError when they become too large.

    Every read of a user returns all properties, so their total size needs a limit.
    """
    if not properties:
        return
    before = count_octets(connection, user_id)
    write_properties(connection, user_id, _without_none(properties))
    for proptag, value in properties.items():
        if value is None:
            delete_property(connection, user_id, proptag.tag)
    # Properties that exceeded the limit before can still change, as long as they do not grow.
    if count_octets(connection, user_id) > max(MOST_OCTETS, before):
        raise InvalidError("The properties of one user take at most 1 MiB together")


def _without_none(properties: Mapping[PropTag, Value | None]) -> dict[PropTag, Value]:
    return {tag: value for tag, value in properties.items() if value is not None}


def _fields(data: Mapping[str, Any]) -> dict[str, Any]:
    """The data that has columns of its own, in its stored form."""
    fields = {name: value for name, value in data.items() if name in users.COLUMNS}
    if "lang" in fields:
        fields["lang"] = fields["lang"] or ""
    if fields.get("syncPolicy") is not None:
        fields["syncPolicy"] = orjson.dumps(fields["syncPolicy"]).decode()
    return fields


def _apply(
    connection: Connection,
    user: UserRow,
    domain: DomainRow,
    data: Mapping[str, Any],
    change: Change,
    *,
    is_new: bool = False,
) -> None:
    if change.system_admin and data.get("homeserver") is not None:
        raise InvalidError.field("homeserver", "There are no other servers; only null is possible.")
    check_names_of(connection, user, domain, data, change.actor)
    gone: list[str] = []
    if is_new:
        names.add_aliases(connection, user, data.get("aliases") or ())
    elif "username" in data or "aliases" in data:
        user, gone = change_addresses(connection, user, domain, data)
    if "altnames" in data:
        names.set_altnames(connection, user, [entry["altname"] for entry in data["altnames"] or ()])
    if "forward" in data:
        users.set_forward(connection, user.id, data["forward"])
    if "fetchmail" in data:
        own = names.list_own(connection, user)
        fetchmail.replace(connection, user, own, gone, data["fetchmail"] or (), change.now)
    set_properties(connection, user.id, data.get("properties", {}))


def _check_limit(domain: DomainRow) -> None:
    # This runs in the writer's transaction, so two concurrent requests cannot both take the last place.
    if domain.active_users >= domain.max_user:
        raise InvalidError(f"The domain {domain.domainname} has reached its limit of {domain.max_user} users")


def _create_defaults(
    connection: Connection, domain_id: int, status: int
) -> tuple[dict[str, Any], dict[PropTag, Value | None]]:
    """Default (fields, properties) of a new user; none for a contact, which has no mailbox."""
    if status == STATUS_CONTACT:
        return {}, {}
    user = reduce(overlay, create_defaults.read_layers(connection, domain_id), NONE)["user"]
    named = {name: value for name, value in user.items() if name != "properties" and name not in users.COLUMNS}
    properties = {_proptag(name): value for name, value in (named | user.get("properties", {})).items()}
    return {name: value for name, value in user.items() if name in users.COLUMNS}, properties


def _check_read_only(current: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    for name in READ_ONLY:
        if name in data and data[name] != current[name]:
            raise InvalidError.field(name, "Cannot be changed here; leave it out or send it back as it was.")


def _proptag(name: str) -> PropTag:
    proptag = proptags.find(name)
    if proptag is None:  # pragma: no cover - the names above are in the table, and those of defaults were
        raise LookupError(name)
    return proptag
