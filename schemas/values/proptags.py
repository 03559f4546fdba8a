"""MAPI properties: their names in the API, their tags and the kinds of their values.

The names and tags are facts of the protocol ([MS-OXPROPS]); the low 16 bits of a tag are its type
([MS-OXCDATA] 2.11.1).
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

#: The tag of displayname.
DISPLAY_NAME = 0x3001001F

#: A value in the format of the API: one value of the property's kind, or a list of them.
Value = int | str | bool | list[int] | list[str] | list[bool]


class Kind(StrEnum):
    """The kind of a property's value, which decides how it is stored and shown in JSON."""

    INTEGER = "integer"
    BOOLEAN = "boolean"
    TEXT = "text"
    TIME = "time"
    BINARY = "binary"


#: Property type (without the multi-value flag 0x1000) -> kind and, for integers, the width in bits.
_TYPES: dict[int, tuple[Kind, int]] = {
    0x0002: (Kind.INTEGER, 16),
    0x0003: (Kind.INTEGER, 32),
    0x0014: (Kind.INTEGER, 64),
    0x000B: (Kind.BOOLEAN, 0),
    0x001E: (Kind.TEXT, 0),
    0x001F: (Kind.TEXT, 0),
    0x0040: (Kind.TIME, 0),
    0x0102: (Kind.BINARY, 0),
}
_MULTI_VALUED = 0x1000


@dataclass(frozen=True, slots=True)
class PropTag:
    """One property. `kind` is None for types that cannot be stored (objects, rules, restrictions, GUIDs)."""

    name: str
    tag: int
    kind: Kind | None
    bits: int
    multi: bool


@cache
def _table() -> tuple[dict[str, PropTag], dict[int, PropTag]]:
    by_name: dict[str, PropTag] = {}
    by_tag: dict[int, PropTag] = {}
    for line in (files("postroom.schemas.values") / "proptags.tsv").read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        name, number = line.split("\t")
        tag = int(number, 16)
        kind, bits = _TYPES.get(tag & 0xFFFF & ~_MULTI_VALUED, (None, 0))
        proptag = PropTag(name, tag, kind, bits, bool(tag & _MULTI_VALUED))
        by_tag.setdefault(tag, proptag)
        # Several names may share a tag. They mean the same property, which is shown under the first name.
        by_name[name] = by_tag[tag]
    return by_name, by_tag


def find(name: str) -> PropTag | None:
    """The property with a name in any case (`DisplayName`) or a number (`0x3001001f`), or None."""
    by_name, by_tag = _table()
    key = name.lower()
    if key.startswith("0x"):
        try:
            return by_tag.get(int(key, 16))
        except ValueError:
            return None
    return by_name.get(key)


def by_tag(tag: int) -> PropTag:
    """The property of a known tag. Raises KeyError for any other number."""
    return _table()[1][tag]
