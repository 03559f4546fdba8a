"""Password hashes that come from elsewhere: which formats are accepted, and how expensive one may be to check.

A login computes the hash anew with the costs that it names, so a hash with excessive costs would stop all logins.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from postroom.app.auth.salted_hashes import SCHEMES, SchemeError, read_salted_hash, split_scheme
from postroom.app.errors import InvalidError

#: Most KiB of memory and most passes of Argon2, most lanes; most rounds of SHA-crypt; highest cost of bcrypt. A login
#: takes up to a second with one of these.
_MOST_MEMORY, _MOST_PASSES, _MOST_LANES = 128 * 1024, 16, 16
_MOST_ROUNDS, _MOST_COST = 1_000_000, 14

_B64 = r"[A-Za-z0-9+/]"
_CRYPT64 = r"[./A-Za-z0-9]"
_ARGON2 = re.compile(
    rf"\$argon2(?:id|i|d)\$v=19\$m=(?P<memory>[1-9]\d{{0,8}}),t=(?P<passes>[1-9]\d{{0,5}}),p=(?P<lanes>[1-9]\d{{0,5}})"
    rf"\${_B64}{{11,86}}\${_B64}{{16,86}}",
    re.ASCII,
)
_SHA = re.compile(
    rf"\$(?:5\$(?:rounds=(?P<rounds5>[1-9]\d{{3,8}})\$)?{_CRYPT64}{{1,16}}\${_CRYPT64}{{43}}"
    rf"|6\$(?:rounds=(?P<rounds6>[1-9]\d{{3,8}})\$)?{_CRYPT64}{{1,16}}\${_CRYPT64}{{86}})",
    re.ASCII,
)
_BCRYPT = re.compile(rf"\$2[aby]\$(?P<cost>\d\d)\${_CRYPT64}{{53}}", re.ASCII)
#: The settings that crypt() itself makes, up to 64 MiB.
_YESCRYPT = re.compile(rf"\$y\$j(?:75|85|[7-9AB]T)\${_CRYPT64}{{1,86}}\${_CRYPT64}{{43}}", re.ASCII)


def _argon2(found: Mapping[str, str]) -> bool:
    memory, passes, lanes = int(found["memory"]), int(found["passes"]), int(found["lanes"])
    # Argon2 itself needs 8 KiB for each lane.
    return 8 * lanes <= memory <= _MOST_MEMORY and passes <= _MOST_PASSES and lanes <= _MOST_LANES


def _sha(found: Mapping[str, str]) -> bool:
    return int(found["rounds5"] or found["rounds6"] or 0) <= _MOST_ROUNDS


def _bcrypt(found: Mapping[str, str]) -> bool:
    return 4 <= int(found["cost"]) <= _MOST_COST


#: Each format, and whether its costs are acceptable.
_FORMATS: Final[tuple[tuple[re.Pattern[str], Callable[[Mapping[str, str]], bool]], ...]] = (
    (_ARGON2, _argon2),
    (_SHA, _sha),
    (_BCRYPT, _bcrypt),
    (_YESCRYPT, lambda _: True),
)


#: Names of schemes, as Dovecot and OpenLDAP write them, before a text that names its format itself.
_WRAPPERS: Final = frozenset({"ARGON2", "ARGON2I", "ARGON2ID", "BLF-CRYPT", "CRYPT", "SHA256-CRYPT", "SHA512-CRYPT"})


def check_given_hash(text: str, field: str) -> str:
    """Returns the hash in the form in which it is stored, if logins can check it.

    Raises InvalidError naming the field and the scheme, never the hash.
    """
    scheme, rest = split_scheme(text)
    if scheme in _WRAPPERS:
        return _check_crypt(rest, field)
    try:
        if read_salted_hash(text) is not None:
            return text
    except SchemeError as error:
        raise InvalidError.field(field, str(error)) from error
    if scheme:
        known = ", ".join(f"{{{name}}}" for name in sorted({*SCHEMES, *_WRAPPERS}))
        raise InvalidError.field(field, f"{{{scheme}}} is none of the schemes that can be checked: {known}.")
    return _check_crypt(text, field)


def _check_crypt(text: str, field: str) -> str:
    for pattern, acceptable in _FORMATS:
        if found := pattern.fullmatch(text):
            if acceptable(found.groupdict()):
                return text
            raise InvalidError.field(field, "Is too expensive to check, or has costs that do not exist.")
    raise InvalidError.field(
        field,
        "Is no hash of Argon2, bcrypt ($2b$), SHA-crypt ($5$, $6$) or yescrypt ($y$) with usual settings, and names no "
        "scheme such as {SSHA}.",
    )
