"""The rules of names: usernames, aliases, altnames, and references to them."""

from collections.abc import Sequence

from postroom.app.errors import InvalidError
from postroom.schemas.addresses import domain_of, normalise_address, spells_administrator, stored_form
from postroom.schemas.values.text import fold
from postroom.storage import domains, fetchmail, grants, users
from postroom.storage.domains import DomainRow
from postroom.storage.engine import Connection
from postroom.storage.users import UserRow


def parse_username(text: str, domain: DomainRow) -> str:
    """The stored form of a username, given as local part or as an address in this domain. Raises InvalidError."""
    username = parse_address(text, text if "@" in text else f"{text}@{domain.domainname}")
    if domain_of(username) != domain.domainname:
        raise InvalidError.field("username", f"{text[:100]!r} is not in the domain {domain.domainname}.")
    return username


def contact_name(user_id: int) -> str:
    """The username of a contact. It is no address, so it collides with none."""
    return f"contact-{user_id}"


def parse_address(given: str, address: str) -> str:
    """The stored form of an address. Raises InvalidError, which shows `given`, the text that the client sent."""
    try:
        return normalise_address(address)
    except ValueError as error:
        raise InvalidError.field("username", f"{given[:100]!r} is no valid address: {error}") from None


def check_alias_domain(connection: Connection, domain: DomainRow, name: str) -> bool:
    """Whether users of `domain` may have aliases in the domain called `name`: the same or one of its organisation."""
    if name == domain.domainname:
        return True
    return domain.is_sibling_of(domains.find_domain_by_name(connection, name))


def check_username(connection: Connection, username: str, user_id: int | None) -> None:
    """Raises InvalidError when another user than this one (None: a new user) has the name already."""
    if users.is_address_taken(connection, username, user_id) or users.is_username_an_altname(
        connection, username, user_id
    ):
        raise InvalidError.field("username", f"{username} is in use already.")


def rename(connection: Connection, user: UserRow, username: str) -> UserRow:
    """Gives a user another name, which has to be free. The caller then has to settle the aliases and call follow()."""
    users.update_username(connection, user.id, username)
    return user._replace(username=username)


def list_own(connection: Connection, user: UserRow) -> list[str]:
    """The addresses that receive the user's mail: the username and the aliases."""
    return [user.username, *(address for address, _ in users.list_addresses(connection, user.id, "alias"))]


def follow(connection: Connection, user: UserRow, former: Sequence[str]) -> list[str]:
    """Moves references from addresses that the user has lost to the username.

    The references are grants to the user and the user's fetchmail entries. Returns the lost addresses, folded.
    """
    kept = {fold(address) for address in list_own(connection, user)}
    gone = [key for address in former if (key := fold(address)) not in kept]
    if gone:
        grants.move_grants(connection, user.id, gone, user.username)
        fetchmail.move_mailboxes(connection, user.id, gone, user.username)
    return gone


def add_aliases(connection: Connection, user: UserRow, aliases: Sequence[str]) -> None:
    """Gives aliases to a user who has none. Raises InvalidError, which names an alias given twice or in use."""
    seen: set[str] = set()
    for alias in aliases:
        if fold(alias) in seen:
            raise InvalidError.field("aliases", f"{alias} is given twice.")
        seen.add(fold(alias))
        if fold(alias) == fold(user.username) or users.is_address_taken(connection, alias, user.id):
            raise InvalidError.field("aliases", f"{alias} is in use already.")
        users.insert_address(connection, user.id, "alias", alias)


def set_altnames(connection: Connection, user: UserRow, altnames: Sequence[str]) -> None:
    """Replaces the altnames. A known one keeps its origin (`magic`). Raises InvalidError."""
    known = {fold(name): magic for name, magic in users.list_addresses(connection, user.id, "altname")}
    users.replace_addresses(connection, user.id, "altname", ())
    seen: set[str] = set()
    for altname in altnames:
        key = fold(altname)
        if key in seen:
            raise InvalidError.field("altnames", f"{altname} is given twice.")
        seen.add(key)
        if key not in known:
            _check_altname(connection, user, altname)
        users.insert_address(connection, user.id, "altname", altname, known.get(key, users.MAGIC_MANUAL))


def _check_altname(connection: Connection, user: UserRow, altname: str) -> None:
    if any(character.isspace() for character in altname):
        raise InvalidError.field("altnames", f"{altname!r} holds white space.")
    if not altname.isprintable():
        raise InvalidError.field("altnames", f"{altname!r} holds invisible characters.")
    # Altnames without a domain share one namespace. The error must not reveal who has this one, or where.
    forms = {altname, stored_form(fold(altname))}
    if spells_administrator(altname) or any(users.is_altname_taken(connection, form, user.id) for form in forms):
        raise InvalidError.field("altnames", f"{altname} is not available.")
