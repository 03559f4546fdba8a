"""Compares a stored user with their directory entry. Pure functions: no network, no database."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from postroom.app.directory.config import DirectoryConfig
from postroom.app.directory.mapping import MappedUser
from postroom.app.errors import InvalidError
from postroom.schemas.addresses import domain_of, spells_administrator
from postroom.schemas.values import proptags
from postroom.schemas.values.proptags import Value
from postroom.schemas.values.text import fold
from postroom.schemas.values.users import STATUS_CONTACT
from postroom.storage.ldap_users import StoredUser
from postroom.storage.users import MAGIC_LDAP

#: Folded name -> (kind of name, user ID) of everyone who has it.
Owners = Mapping[str, Sequence[tuple[str, int]]]


#: The keys of Changes.shown() that belong to a user's identity, not to their mailbox.
IDENTITY: Final = frozenset({"ldapID", "username", "aliases", "altnames"})


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes to write; an empty value or None means no change. A list replaces the stored one.

    `fields` has columns by their names in the API, `properties` and `removed` have property tags.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    username: str | None = None
    aliases: tuple[str, ...] | None = None
    altnames: tuple[tuple[str, int], ...] | None = None
    properties: Mapping[int, Value] = field(default_factory=dict)
    removed: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        lists = self.aliases is not None or self.altnames is not None
        return lists or bool(self.fields or self.username or self.properties or self.removed)

    def shown(self, stored: StoredUser) -> dict[str, list[object]]:
        """Field or property name -> [before, after], for people to read."""
        shown: dict[str, list[object]] = {}
        if "ldapID" in self.fields:
            shown["ldapID"] = [stored.ldap_id, self.fields["ldapID"]]
        if "lang" in self.fields:
            shown["lang"] = [stored.lang, self.fields["lang"]]
        if self.username is not None:
            shown["username"] = [stored.username, self.username]
        if self.aliases is not None:
            shown["aliases"] = [list(stored.aliases), list(self.aliases)]
        if self.altnames is not None:
            shown["altnames"] = [[name for name, _ in stored.altnames], [name for name, _ in self.altnames]]
        for tag in sorted({*self.properties, *self.removed}):
            shown[proptags.by_tag(tag).name] = [stored.properties.get(tag), self.properties.get(tag)]
        return shown


def differences(
    stored: StoredUser,
    mapped: MappedUser,
    config: DirectoryConfig,
    owners: Owners,
    object_id: str,
    lang: str,
    may_have: Callable[[str], bool],
) -> tuple[Changes, list[str]]:
    """The changes that an update has to write, and sentences about names left out because they are not available.

    `lang` is the language of a user without one. `may_have` tells whether the actor may give the user a new name.
    InvalidError when the user cannot have the username of the entry, because it is in another domain or in use.
    """
    warnings = list(mapped.warnings)
    username = aliases = altnames = None
    # A contact has no username or aliases of its own: its address is a property.
    if stored.status != STATUS_CONTACT:
        username = _username(stored, mapped, owners)
        aliases = _aliases(stored, mapped, config, owners, may_have, warnings)
        altnames = _altnames(stored, mapped, owners, may_have, warnings)
    fields = {"ldapID": object_id} if stored.ldap_id != object_id else {}
    if lang and not stored.lang:
        fields["lang"] = lang
    changes = Changes(
        fields=fields,
        username=username,
        aliases=aliases,
        altnames=altnames,
        properties={tag: value for tag, value in mapped.properties.items() if stored.properties.get(tag) != value},
        removed=mapped.removed & stored.properties.keys(),
    )
    return changes, warnings


def is_taken(owners: Owners, name: str, user_id: int | None, *kinds: str) -> bool:
    """Whether another user than this one (None: a new user) has the name, as one of these kinds."""
    return any(kind in kinds and owner != user_id for kind, owner in owners.get(fold(name), ()))


def _username(stored: StoredUser, mapped: MappedUser, owners: Owners) -> str | None:
    if mapped.username == stored.username:
        return None
    domain = domain_of(stored.username)
    if domain_of(mapped.username) != domain:
        raise InvalidError.field("username", f"{mapped.username!r} is not in the domain {domain}.")
    if is_taken(owners, mapped.username, stored.id, "username", "alias", "altname"):
        raise InvalidError.field("username", f"{mapped.username} is in use already.")
    return mapped.username


def _aliases(
    stored: StoredUser,
    mapped: MappedUser,
    config: DirectoryConfig,
    owners: Owners,
    may_have: Callable[[str], bool],
    warnings: list[str],
) -> tuple[str, ...] | None:
    # Without an attribute for aliases the directory says nothing about them: keep the stored ones.
    kept = () if config.aliases else stored.aliases
    wanted: dict[str, str] = {}
    there = {fold(alias) for alias in (stored.username, *stored.aliases)}
    for alias in (*kept, *mapped.aliases):
        if fold(alias) not in there and not may_have(alias):
            warnings.append(f"The alias {alias} is not in a domain that you may change and was left out")
        elif is_taken(owners, alias, stored.id, "username", "alias"):
            warnings.append(f"The alias {alias} is in use already and was left out")
        # An alias that becomes the username is no longer an alias.
        elif fold(alias) != fold(mapped.username):
            wanted.setdefault(fold(alias), alias)
    # The values of an LDAP attribute have no order.
    same = wanted.keys() == {fold(alias) for alias in stored.aliases}
    return None if same else tuple(wanted.values())


def _altnames(
    stored: StoredUser,
    mapped: MappedUser,
    owners: Owners,
    may_have: Callable[[str], bool],
    warnings: list[str],
) -> tuple[tuple[str, int], ...] | None:
    wanted = [pair for pair in stored.altnames if pair[1] != MAGIC_LDAP]
    if mapped.altname and fold(mapped.altname) not in {fold(name) for name, _ in wanted}:
        known = any(fold(name) == fold(mapped.altname) for name, _ in stored.altnames)
        if not known and not may_have(mapped.altname):
            warnings.append(f"The altname {mapped.altname} is not in a domain that you may change and was left out")
        elif not known and (
            spells_administrator(mapped.altname) or is_taken(owners, mapped.altname, stored.id, "altname", "username")
        ):
            warnings.append(f"The altname {mapped.altname} is in use already and was left out")
        else:
            wanted.append((mapped.altname, MAGIC_LDAP))
    return None if set(wanted) == set(stored.altnames) else tuple(wanted)
