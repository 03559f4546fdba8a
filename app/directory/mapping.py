"""Maps a directory entry to the data of a user. Pure functions: no network, no database."""

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from postroom.app.directory.config import DirectoryConfig
from postroom.app.directory.templates import OTHER_NAME
from postroom.app.directory.values import DISPLAY_TYPE, as_text, checked, convert
from postroom.app.errors import InvalidError
from postroom.schemas.addresses import domain_of, normalise_address
from postroom.schemas.values import proptags
from postroom.schemas.values.proptags import Value
from postroom.schemas.values.text import fold
from postroom.schemas.values.users import LONGEST_ADDRESS

log = logging.getLogger("postroom.ldap")

STORAGE_QUOTA = 0x3FF50003
#: Properties that stay when their attribute is gone: an omission must not remove a quota or change the kind of mailbox.
KEPT = frozenset({DISPLAY_TYPE, STORAGE_QUOTA, 0x666E0003, 0x666A0003})

_DISPLAY_TYPE_CONTACT = 6
_PREFIX = re.compile(r"([A-Za-z][A-Za-z0-9]*):(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Entry:
    """One directory entry; attribute names in any case. `is_contact`: the contact filter matched it.

    `object_id` is the first value of the configured attribute as bytes, empty if the entry has none.
    """

    dn: str
    attributes: Mapping[str, Sequence[str | bytes]]
    is_contact: bool = False
    object_id: bytes = b""


@dataclass(frozen=True, slots=True)
class MappedUser:
    """The user data of an entry.

    `properties` is property tag -> value in the format of the API (time as `YYYY-MM-DD HH:MM:SS` in the configured time
    zone, binary as base64). `removed` has the tags whose attributes are gone. `default_quota` (KiB) is only for a new
    user. `warnings` has sentences about values left out.
    """

    username: str
    aliases: tuple[str, ...]
    altname: str | None
    properties: dict[int, Value]
    removed: frozenset[int]
    default_quota: int | None
    is_contact: bool
    warnings: tuple[str, ...]


def map_entry(entry: Entry, config: DirectoryConfig, accepts_domain: Callable[[str, str], bool]) -> MappedUser:
    """The user data of an entry; an unusable value becomes a warning.

    `accepts_domain(own, other)` tells whether a user of the first domain may have aliases in the other one; both are
    ASCII in lower case. InvalidError, which names the attribute, when there is no valid username.
    """
    try:
        return _mapped(entry, config, accepts_domain)
    except InvalidError:
        raise
    except Exception:
        # No error of one entry may stop the other entries from being read.
        log.exception("The directory entry %r cannot be read", entry.dn)
        raise InvalidError("The directory entry cannot be read; the log of the service has the reason") from None


def _mapped(entry: Entry, config: DirectoryConfig, accepts_domain: Callable[[str, str], bool]) -> MappedUser:
    values = {name.lower(): list(found) for name, found in entry.attributes.items()}
    warnings: list[str] = []
    names = _texts(values, config.username, warnings)
    username = _username(names, config.username)
    aliases = _aliases([*names[1:], *_texts(values, config.aliases, warnings)], username, accepts_domain, warnings)
    properties: dict[int, Value] = {}
    removed: set[int] = set()
    for tag, ranks in config.properties.items():
        # The first rank with a value supplies the property, from all its attributes together.
        for rank in ranks:
            raw = [value for name in rank for value in _present(values, name)]
            if raw:
                break
        else:
            removed.add(tag)
            continue
        prop = proptags.by_tag(tag)
        try:
            properties[tag] = checked(prop, convert(prop, raw, config.timezone))
        except ValueError as exc:
            warnings.append(f"{prop.name} from {', '.join(rank)} was left out: {exc}")
    return MappedUser(
        username=username,
        aliases=aliases,
        altname=_altname(values, config.altname, warnings),
        properties=properties,
        removed=frozenset(removed - KEPT),
        default_quota=None if STORAGE_QUOTA in properties else config.default_quota,
        is_contact=entry.is_contact or properties.get(DISPLAY_TYPE) == _DISPLAY_TYPE_CONTACT,
        warnings=tuple(warnings),
    )


def _present(values: Mapping[str, Sequence[str | bytes]], attribute: str | None) -> list[str | bytes]:
    """The non-blank values of an attribute, or else of its other name."""
    name, other = _spellings(attribute or "")
    found = values.get(name) or values.get(other) or ()
    return [value for value in found if value.strip()]


# The cache is larger than the number of attributes in any configuration.
@lru_cache(maxsize=1024)
def _spellings(attribute: str) -> tuple[str, str]:
    """An attribute's name and its other name in lower case."""
    name = attribute.lower()
    return name, OTHER_NAME.get(name, "").lower()


def _texts(values: Mapping[str, Sequence[str | bytes]], attribute: str | None, warnings: list[str]) -> list[str]:
    texts = []
    for value in _present(values, attribute):
        try:
            texts.append(as_text(value))
        except ValueError as exc:
            warnings.append(f"A value of {attribute} was left out: {exc}")
    return texts


def _username(names: Sequence[str], attribute: str) -> str:
    if not names:
        raise InvalidError(f"The directory entry has no usable value of {attribute}, which holds the username")
    try:
        return normalise_address(_without_prefix(names[0]) or names[0])
    except ValueError as exc:
        raise InvalidError(
            f"The directory attribute {attribute}, which holds the username, is no e-mail address: {exc}"
        ) from None


def _without_prefix(text: str) -> str | None:
    """The address without its `smtp:`; None for an address of another kind, such as `x500:` or `sip:`."""
    found = _PREFIX.fullmatch(text)
    if found is None:
        return text
    return found[2].strip() if found[1].lower() == "smtp" else None


def _aliases(
    texts: Iterable[str], username: str, accepts_domain: Callable[[str, str], bool], warnings: list[str]
) -> tuple[str, ...]:
    aliases: dict[str, str] = {}
    for text in texts:
        address = _without_prefix(text)
        if address is None:
            continue
        try:
            alias = normalise_address(address)
        except ValueError as exc:
            warnings.append(f"The alias {_shown(address)} was left out: {exc}")
            continue
        # Fold it as the database does: strasse@ equals straße@.
        key = fold(alias)
        if key == fold(username) or key in aliases:
            continue
        if accepts_domain(domain_of(username), domain_of(alias)):
            aliases[key] = alias
        else:
            warnings.append(f"The alias {_shown(address)} was left out: its domain is not one of this organisation")
    return tuple(aliases.values())


def _altname(values: Mapping[str, Sequence[str | bytes]], attribute: str | None, warnings: list[str]) -> str | None:
    texts = _texts(values, attribute, warnings)
    if not texts:
        return None
    altname = texts[0]
    # The same rules as for altnames that are entered by hand.
    if len(altname) > LONGEST_ADDRESS:
        reason = "it is too long"
    elif any(character.isspace() or character < " " or character == "\x7f" for character in altname):
        reason = "it holds white space or a control character"
    else:
        return altname
    warnings.append(f"The alternative login name from {attribute} was left out: {reason}")
    return None


def _shown(text: str) -> str:
    """Text of the directory for a message: at most 80 characters, on one line."""
    return "".join(char if char.isprintable() else "?" for char in text[:80])
