"""Hashes that other systems keep with the name of their scheme in braces: salted SHA and PBKDF2.

Sources of the formats: RFC 2307 and OpenLDAP's slappasswd ({SSHA}), its modules pw-sha2 and pw-pbkdf2, the page
"Password schemes" of Dovecot's manual ({SSHA256}, .hex and .b64, {PBKDF2}), and the plugin pwdstorage of 389 Directory
Server ({PBKDF2_SHA256}). A login replaces such a hash.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

#: Most rounds of PBKDF2: about a second for a login.
MOST_ROUNDS: Final = 2_000_000
#: In bytes. Without a salt, equal passwords have equal hashes, and lists of them are sold.
_SHORTEST_SALT: Final = 4
_LONGEST_SALT: Final = 64

_BRACES: Final = re.compile(r"\{([A-Za-z0-9_.-]{1,30})\}(.+)", re.ASCII | re.DOTALL)


class SchemeError(ValueError):
    """The text is no hash of its scheme; the message says why, without the hash."""


@dataclass(frozen=True, slots=True)
class SaltedHash:
    """`key` is a digest of password and salt, or, with `rounds`, PBKDF2 of them."""

    digest: str
    salt: bytes
    key: bytes
    rounds: int = 0

    def matches(self, password: str) -> bool:
        """Whether this is the hash of the password."""
        given = password.encode()
        if self.rounds:
            computed = hashlib.pbkdf2_hmac(self.digest, given, self.salt, self.rounds, len(self.key))
        else:
            computed = hashlib.new(self.digest, given + self.salt, usedforsecurity=False).digest()
        return hmac.compare_digest(computed, self.key)


def split_scheme(text: str) -> tuple[str, str]:
    """`{SSHA}abc` -> ("SSHA", "abc"); the scheme is in capitals, and empty where the text names none."""
    found = _BRACES.fullmatch(text)
    return (found[1].upper(), found[2]) if found else ("", text)


def read_salted_hash(text: str) -> SaltedHash | None:
    """The hash in a text that begins with one of the schemes; None for another scheme. Raises SchemeError."""
    scheme, rest = split_scheme(text)
    name, _, encoding = scheme.partition(".")
    read = _SCHEMES.get(name)
    if read is None or encoding not in ("", "HEX", "B64"):
        return None
    try:
        found = read(rest, encoding)
    except (ValueError, binascii.Error) as error:
        raise SchemeError(f"Is no hash of {{{scheme}}}.") from error
    if not _SHORTEST_SALT <= len(found.salt) <= _LONGEST_SALT:
        raise SchemeError(f"Has a salt of {len(found.salt)} bytes; {_SHORTEST_SALT} to {_LONGEST_SALT} are accepted.")
    if found.rounds > MOST_ROUNDS:
        raise SchemeError(f"Is too expensive to check: at most {MOST_ROUNDS:,} rounds are accepted.")
    return found


def _salted(digest: str) -> Callable[[str, str], SaltedHash]:
    """The digest, and behind it the salt."""
    size = hashlib.new(digest, usedforsecurity=False).digest_size

    def read(text: str, encoding: str) -> SaltedHash:
        found = bytes.fromhex(text) if encoding == "HEX" else base64.b64decode(text, validate=True)
        return SaltedHash(digest, found[size:], _whole(found[:size], size))

    return read


def _pbkdf2(digest: str) -> Callable[[str, str], SaltedHash]:
    """`rounds$salt$key`, in a base64 with "." for "+" and without padding, or in the usual one."""
    size = hashlib.new(digest, usedforsecurity=False).digest_size

    def read(text: str, _encoding: str) -> SaltedHash:
        rounds, salt, key = text.split("$")
        return SaltedHash(digest, _adapted(salt), _whole(_adapted(key), size), _rounds(rounds))

    return read


def _pbkdf2_of_dovecot(text: str, _encoding: str) -> SaltedHash:
    """`$1$salt$rounds$key`: the salt as it stands, the key of SHA-1 in hexadecimal digits."""
    _, version, salt, rounds, key = text.split("$")
    if version != "1":
        raise ValueError(version)
    return SaltedHash("sha1", salt.encode("ascii"), _whole(bytes.fromhex(key), 20), _rounds(rounds))


def _pbkdf2_of_389(text: str, _encoding: str) -> SaltedHash:
    """Four bytes with the rounds, 64 with the salt, 256 with the key."""
    found = _whole(base64.b64decode(text, validate=True), 4 + 64 + 256)
    # Each 32 bytes of the key are computed by themselves, with all rounds. The first are as strong as all of them, and
    # a login takes an eighth of the time.
    return SaltedHash("sha256", found[4:68], found[68:100], _rounds(str(int.from_bytes(found[:4], "big"))))


def _whole(found: bytes, size: int) -> bytes:
    if len(found) != size:
        raise ValueError(len(found))
    return found


def _rounds(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,9}", text, re.ASCII):
        raise ValueError(text)
    return int(text)


def _adapted(text: str) -> bytes:
    plain = text.rstrip("=").replace(".", "+")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)


_SCHEMES: Final[Mapping[str, Callable[[str, str], SaltedHash]]] = {
    "SSHA": _salted("sha1"),
    "SSHA256": _salted("sha256"),
    "SSHA512": _salted("sha512"),
    "PBKDF2": _pbkdf2_of_dovecot,
    "PBKDF2-SHA1": _pbkdf2("sha1"),
    "PBKDF2-SHA256": _pbkdf2("sha256"),
    "PBKDF2-SHA512": _pbkdf2("sha512"),
    "PBKDF2_SHA256": _pbkdf2_of_389,
}
SCHEMES: Final = tuple(_SCHEMES)
