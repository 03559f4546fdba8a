"""LDAP filters (RFC 4515) as trees."""

import re
from dataclasses import dataclass
from typing import Final

#: Levels in a filter of a configuration; its questions wrap it in a few more.
MOST_LEVELS: Final = 32
_AROUND: Final = 8

# attribute (with options, matching rule and :dn), operator, value with escapes.
_ITEM = re.compile(r"\s*([A-Za-z0-9.;:_-]+?)\s*([~<>:]?=)((?:[^()\\\x00]|\\[0-9A-Fa-f]{2})*)")
_SPACE = re.compile(r"\s*")
_ESCAPED = re.compile(rb"\\([0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Item:
    """A comparison. `attribute` is as written, with options and, if the operator is `:=`, with the matching rule."""

    attribute: str
    operator: str
    text: str

    @property
    def parts(self) -> list[bytes]:
        """The value without its escapes; several parts, which may be empty, are those around each `*`."""
        return [_ESCAPED.sub(_byte, part.encode("utf-8", "surrogatepass")) for part in self.text.split("*")]


@dataclass(frozen=True, slots=True)
class Group:
    """`&`, `|` or `!` of other filters; `!` has one."""

    operator: str
    filters: "tuple[Filter, ...]"


Filter = Item | Group


def check_filter(text: str) -> None:
    """Raises ValueError with the reason unless the text is an LDAP filter. Outer parentheses are optional."""
    text = text.strip()
    _whole(text if text.startswith("(") else f"({text})", MOST_LEVELS)


def parse_filter(text: str) -> Filter:
    """A filter in parentheses, also one that is made of those of a configuration. Raises ValueError."""
    return _whole(text, MOST_LEVELS + _AROUND)


def _whole(text: str, levels: int) -> Filter:
    found, end = _filter(text, 0, levels)
    if end != len(text):
        raise ValueError("The filter has text after its end")
    return found


def _filter(text: str, start: int, levels: int) -> tuple[Filter, int]:
    """The filter that begins at `start`, and the position behind it and the space after it."""
    if levels < 0:
        raise ValueError("The filter is nested too deeply")
    if text[start : start + 1] != "(":
        raise ValueError("The filter lacks an opening parenthesis")
    position = _skip_space(text, start + 1)
    operator = text[position : position + 1]
    found: Filter
    if operator and operator in "&|!":
        filters, position = _filters(text, position + 1, operator, levels)
        found = Group(operator, filters)
    else:
        item = _ITEM.match(text, position)
        # Nobody means two of them, and servers refuse it.
        if item is None or "**" in item[3]:
            raise ValueError("The filter lacks a comparison such as mail=*")
        found, position = Item(item[1], item[2], item[3]), item.end()
    if text[position : position + 1] != ")":
        raise ValueError("The filter has unbalanced parentheses or an invalid escape")
    return found, _skip_space(text, position + 1)


def _filters(text: str, position: int, operator: str, levels: int) -> tuple[tuple[Filter, ...], int]:
    found: list[Filter] = []
    position = _skip_space(text, position)
    while text[position : position + 1] == "(" and not (operator == "!" and found):
        one, position = _filter(text, position, levels - 1)
        found.append(one)
    if not found:
        raise ValueError(f"The filter has nothing after {operator}")
    return tuple(found), position


def _skip_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _byte(found: re.Match[bytes]) -> bytes:
    return bytes.fromhex(found[1].decode())
