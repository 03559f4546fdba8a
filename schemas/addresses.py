"""Normalises e-mail addresses and domain names: each gets one spelling, so that they compare as text."""

import re
import unicodedata
from functools import lru_cache

import idna

from postroom.schemas.values.text import fold
from postroom.schemas.values.users import LONGEST_ADDRESS

# The library refuses domains such as firm.local, which many firms use for mail, and allows them only by a setting for
# the whole process. So it checks only the local part, together with a domain that it accepts.
_ANY_DOMAIN = "@example.org"

#: Local parts that are valid without asking the library, which takes ten times as long as all other steps.
_PLAIN = re.compile(r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*", re.IGNORECASE | re.ASCII)
_MAX_LOCAL = 64
#: Longest domain that is parsed. No ASCII name is longer (RFC 1035), and encoding does not shorten other names.
_MAX_DOMAIN = 255

#: The account of the system administrator, who is in no domain.
_ADMINISTRATOR = "admin"


def normalise_address(text: str) -> str:
    """The address in lower case with its domain in ASCII (`jörg@xn--bcher-kva.example`).

    ValueError with a plain English reason when it is invalid. Domains without a dot (`localhost`) are valid.
    """
    if len(text) > LONGEST_ADDRESS:
        raise ValueError(f"The address is longer than {LONGEST_ADDRESS} characters")
    local, at, domain = text.rpartition("@")
    if not at:
        raise ValueError("An address needs an @")
    ascii_domain = _ascii_domain(domain)
    if len(local) <= _MAX_LOCAL and _PLAIN.fullmatch(local):
        return f"{local.lower()}@{ascii_domain}"
    # Loaded only where it is needed: most never have such an address, and commands start faster.
    from email_validator import EmailNotValidError, validate_email

    try:
        found = validate_email(local + _ANY_DOMAIN, check_deliverability=False, allow_smtputf8=True, strict=True)
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None
    return f"{found.local_part.lower()}@{ascii_domain}"


def stored_form(name: str) -> str:
    """The stored form of a username or alias. A text that is no address (`admin`, a contact's name) stays as it is."""
    try:
        return normalise_address(name)
    except ValueError:
        return name


def parse_domain(text: str) -> tuple[str, str]:
    """(A-labels, Unicode) of a domain in any spelling, in lower case.

    ValueError with a plain English reason when it is invalid (IDNA 2008, RFC 5891, after the mapping of UTS 46).
    """
    ascii_name = _ascii_domain(text)
    return ascii_name, in_unicode(ascii_name)


def _ascii_domain(text: str) -> str:
    if len(text) > _MAX_DOMAIN:
        raise ValueError(f"Not a domain name: longer than {_MAX_DOMAIN} characters")
    name, reason = _encode(text)
    if reason is not None:
        raise ValueError(reason)
    return name


@lru_cache(maxsize=1024)
def _encode(text: str) -> tuple[str, str | None]:
    """(A-labels, None), or ("", reason). Returns the reason instead of raising it, so that the cache holds it, too."""
    try:
        ascii_name = idna.encode(text, uts46=True).decode().lower()
    except UnicodeError as error:
        # idna says what is wrong in English, and names the character.
        return "", f"Not a domain name: {error}"
    if ascii_name.endswith("."):
        return "", "A domain name has no dot at its end"
    return ascii_name, None


@lru_cache(maxsize=1024)
def in_unicode(ascii_name: str) -> str:
    try:
        return idna.decode(ascii_name)
    except UnicodeError as error:
        # idna says what is wrong in English, and names the character.
        raise ValueError(f"Not a domain name: {error}") from None


def domain_of(address: str) -> str:
    """The part after the last @ in lower case: for a normalised address its ASCII domain."""
    return address.rpartition("@")[2].lower()


def domain_part(name: str) -> str | None:
    """The domain of an address or altname in A-labels; "" if it is no valid domain name, None without an @."""
    _, at, domain = fold(name).rpartition("@")
    if not at:
        return None
    try:
        return parse_domain(domain)[0]
    except ValueError:
        return ""


def spells_administrator(altname: str) -> bool:
    """Whether an altname without a domain looks like the name of the system administrator.

    Accents, dots and other characters that are no letters or digits make no difference, nor does the Turkish i.
    """
    if domain_part(altname) is not None:
        return False
    letters = unicodedata.normalize("NFKD", fold(altname.replace("ı", "i")))
    return "".join(character for character in letters if character.isalnum()) == _ADMINISTRATOR
