"""E-mail addresses: one spelling for each, so that they compare as text everywhere."""

import re
import unicodedata
from functools import lru_cache

import idna
from email_validator import EmailNotValidError, validate_email

from postroom.schemas.values.text import fold
from postroom.schemas.values.users import LONGEST_ADDRESS

# The library refuses domains such as firm.local, where many houses have their mail, and can only be told otherwise for
# the whole process; so it judges the local part, before a domain that it accepts.
_ANY_DOMAIN = "@example.org"

#: Local parts that nobody needs to ask the library about: it takes ten times as long as all the rest of an address.
_PLAIN = re.compile(r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*", re.IGNORECASE | re.ASCII)
_MAX_LOCAL = 64
#: Longest domain that is looked at. No name in ASCII is longer (RFC 1035), and what is written otherwise gets no
#: shorter by being encoded.
_MAX_DOMAIN = 255

#: The account of the system administrator, who is in no domain.
_ADMINISTRATOR = "admin"


def normalise_address(text: str) -> str:
    """The address in lower case with its domain in ASCII (`jörg@xn--bcher-kva.example`).

    ValueError with a plain English reason when it is none. Domains without a dot (`localhost`) are good.
    """
    if len(text) > LONGEST_ADDRESS:
        raise ValueError(f"The address is longer than {LONGEST_ADDRESS} characters")
    local, at, domain = text.rpartition("@")
    if not at:
        raise ValueError("An address needs an @")
    ascii_domain = _ascii_domain(domain)
    if len(local) <= _MAX_LOCAL and _PLAIN.fullmatch(local):
        return f"{local.lower()}@{ascii_domain}"
    try:
        found = validate_email(local + _ANY_DOMAIN, check_deliverability=False, allow_smtputf8=True, strict=True)
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None
    return f"{found.local_part.lower()}@{ascii_domain}"


def stored_form(name: str) -> str:
    """A username or alias as it would be stored; what is no address (`admin`, a contact's name) as it is."""
    try:
        return normalise_address(name)
    except ValueError:
        return name


def parse_domain(text: str) -> tuple[str, str]:
    """(A-labels, Unicode) of a domain in any spelling, in lower case.

    ValueError with a plain English reason when it is none (IDNA 2008, RFC 5891, after the mapping of UTS 46).
    """
    ascii_name = _ascii_domain(text)
    return ascii_name, _in_unicode(ascii_name)


def _ascii_domain(text: str) -> str:
    if len(text) > _MAX_DOMAIN:
        raise ValueError(f"Not a domain name: longer than {_MAX_DOMAIN} characters")
    name, reason = _encode(text)
    if reason is not None:
        raise ValueError(reason)
    return name


@lru_cache(maxsize=1024)
def _encode(text: str) -> tuple[str, str | None]:
    """(A-labels, None), or ("", why not): what is no domain takes as long to find out, and may come as often."""
    try:
        ascii_name = idna.encode(text, uts46=True).decode().lower()
    except UnicodeError as error:
        # idna says what is wrong in English, and names the character.
        return "", f"Not a domain name: {error}"
    if ascii_name.endswith("."):
        return "", "A domain name has no dot at its end"
    return ascii_name, None


@lru_cache(maxsize=1024)
def _in_unicode(ascii_name: str) -> str:
    try:
        return idna.decode(ascii_name)
    except UnicodeError as error:
        # idna says what is wrong in English, and names the character.
        raise ValueError(f"Not a domain name: {error}") from None


def domain_of(address: str) -> str:
    """The part after the last @ in lower case: for a normalised address its ASCII domain."""
    return address.rpartition("@")[2].lower()


def domain_part(name: str) -> str | None:
    """The domain of an address or altname in A-labels, "" when it is no domain name; None without one."""
    _, at, domain = fold(name).rpartition("@")
    if not at:
        return None
    try:
        return parse_domain(domain)[0]
    except ValueError:
        return ""


def spells_administrator(altname: str) -> bool:
    """Whether an altname without a domain is read as the name of the system administrator, whatever it is made of.

    Accents, dots and whatever else is no letter do not make another name of it; nor does the i of Turkish.
    """
    if domain_part(altname) is not None:
        return False
    letters = unicodedata.normalize("NFKD", fold(altname.replace("ı", "i")))
    return "".join(character for character in letters if character.isalnum()) == _ADMINISTRATOR
