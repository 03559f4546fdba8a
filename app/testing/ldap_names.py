"""Names in a directory: of attributes, and distinguished names (RFC 4514)."""

import re
import unicodedata
from typing import Final

from postroom.app.directory.templates import OTHER_NAME

#: A distinguished name as it is compared: from the entry up, the attributes and values of each level.
Place = tuple[frozenset[tuple[str, str]], ...]

_PART = re.compile(r"((?:\\.|[^\\,+])*)([,+]|\Z)", re.DOTALL)
_TYPE = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+)\s*=(.*)", re.DOTALL)
_ESCAPE = re.compile(rb"\\(?:([0-9A-Fa-f]{2})|(.))", re.DOTALL)
#: An unescaped space at an end of a value.
_END: Final = re.compile(r"^ +|(?<!\\) +$")


def plain(attribute: str) -> str:
    """The name of an attribute without options, in lower case; the same for both names of one."""
    name = attribute.lower().partition(";")[0]
    return min(name, OTHER_NAME.get(name, name).lower())


def fold(text: str) -> str:
    """Text as directories compare it: in any case and compatibility form, however many spaces are in it or around it.

    Unlike the names of users, ß is not ss.
    """
    lowered = "".join(each.lower()[:1] for each in unicodedata.normalize("NFKD", text))
    return re.sub(" +", " ", unicodedata.normalize("NFKC", lowered))


def parse_dn(text: str) -> list[list[tuple[str, str]]]:
    """(attribute, value) of each level of a distinguished name, from the entry up. Raises ValueError."""
    levels: list[list[tuple[str, str]]] = []
    position, separator = 0, ","
    while separator:
        found = _PART.match(text, position)
        item = _TYPE.fullmatch(found[1]) if found else None
        if found is None or item is None:
            raise ValueError(f"{text!r} is no DN such as uid=anna,ou=people,dc=example,dc=org")
        pair = item[1], _unescaped(item[2])
        if separator == ",":
            levels.append([pair])
        else:
            levels[-1].append(pair)
        position, separator = found.end(), found[2]
    return levels


def parent_of(dn: str) -> str:
    """The DN one level up; empty at the top."""
    position, separator = 0, "+"
    while separator == "+" and (found := _PART.match(dn, position)):
        position, separator = found.end(), found[2]
    return dn[position:]


def place_of(text: str) -> Place:
    """The DN as it is compared. Raises ValueError."""
    return tuple(
        frozenset((plain(attribute), fold(value).strip()) for attribute, value in level) for level in parse_dn(text)
    )


def escaped(value: str) -> str:
    """A value for a DN."""
    return "".join(char if char.isalnum() or char in "-._ @" else _hex(char) for char in value.strip())


def _hex(char: str) -> str:
    return "".join(f"\\{byte:02x}" for byte in char.encode())


def _unescaped(text: str) -> str:
    raw = _END.sub("", text).encode("utf-8", "surrogatepass")
    return _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()) if found[1] else found[2], raw).decode()
