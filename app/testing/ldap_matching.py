"""Whether entries match a filter, by the rules of OpenLDAP for the attributes of people."""

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from postroom.app.directory.faults import FaultError
from postroom.schemas.ldap_filters import Filter, Item
from postroom.testing.ldap_names import fold, place_of, plain

#: Attributes of an entry, by name as it was given.
Attributes = Mapping[str, Sequence[bytes]]
#: What a value is compared as. Raises ValueError when it is no value of its kind.
_Kind = Callable[[bytes], Any]
#: None is neither true nor false, so its opposite does not match either: the comparison makes no sense.
_Test = Callable[["_Entry"], bool | None]

#: Nobody may ask for these, nor read them.
HIDDEN: Final = frozenset({"userpassword"})
#: Class -> the one that it extends.
_EXTENDS: Final = {"inetorgperson": "organizationalperson", "organizationalperson": "person"}


def _text(raw: bytes) -> str:
    return fold(raw.decode())


def _ascii(raw: bytes) -> str:
    return fold(raw.decode("ascii"))


def _class(raw: bytes) -> str:
    return _ascii(raw)


def _exact(raw: bytes) -> str:
    return raw.decode()


def _telephone(raw: bytes) -> str:
    return fold(raw.decode()).replace(" ", "").replace("-", "")


def _number(raw: bytes) -> int:
    if not re.fullmatch(rb"0|-?[1-9][0-9]*", raw):
        raise ValueError("no number as directories write it")
    return int(raw)


def _uuid(raw: bytes) -> uuid.UUID:
    return uuid.UUID(raw.decode())


def _dn(raw: bytes) -> object:
    return place_of(raw.decode())


#: Attribute -> its kind; all others are text in any case.
_KINDS: Final[dict[str, _Kind]] = {
    **dict.fromkeys(("jpegphoto", "objectguid", "objectsid", "usercertificate", "userpkcs12"), bytes),
    **dict.fromkeys(
        ("mdboverhardquotalimit", "mdboverquotalimit", "msexchrecipientdisplaytype", "useraccountcontrol",
         "uidnumber", "gidnumber"), _number,
    ),
    **dict.fromkeys(map(plain, ("telephoneNumber", "mobile", "homePhone", "pager")), _telephone),
    **dict.fromkeys(map(plain, ("dc", "mail")), _ascii),
    **dict.fromkeys(("homedirectory", "labeleduri", "loginshell"), _exact),
    **dict.fromkeys(("assistant", "manager", "member", "memberof", "owner", "secretary", "seealso"), _dn),
    "entryuuid": _uuid,
    "objectclass": _class,
}  # fmt: skip
#: Kinds that are compared with spaces, but not with those around a value.
_SPACED: Final = (_text, _ascii)
#: Kinds of which a part can be asked for.
_WITH_PARTS: Final = (*_SPACED, _exact, _telephone)
#: Active Directory's rules for flags in a number.
_FLAGS: Final[dict[str, Callable[[int, int], bool]]] = {
    "1.2.840.113556.1.4.803": lambda value, flags: value & flags == flags,
    "1.2.840.113556.1.4.804": lambda value, flags: value & flags != 0,
}


def compiled(wanted: Filter) -> Callable[[Attributes], bool]:
    """Tells of an entry whether it matches. Raises FaultError for what this directory cannot compare."""
    test = _compiled(wanted)
    return lambda attributes: test(_Entry(attributes)) is True


class _Entry:
    """An entry while a filter is tried on it: all parts of the filter compare the same values."""

    def __init__(self, attributes: Attributes) -> None:
        self._attributes = attributes
        self._found: dict[str, list[Any]] = {}

    def values(self, name: str) -> list[bytes]:
        """Those of the attribute and of its subtypes: `cn` includes `cn;lang-de`."""
        options = set(name.lower().split(";")[1:])
        return [
            value
            for other, values in self._attributes.items()
            if plain(other) == plain(name) and options <= set(other.lower().split(";")[1:])
            for value in values
        ]

    def compared(self, name: str, kind: _Kind) -> list[Any]:
        """What its values are compared as; one that is no value of its kind is like none."""
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = []
            for value in self.values(name):
                try:
                    found.append(_whole(kind, value))
                except ValueError:
                    continue
            if kind is _class:
                found += _extended(found)
        return found


def _compiled(wanted: Filter) -> _Test:
    if isinstance(wanted, Item):
        return _comparison(wanted)
    tests = [_compiled(each) for each in wanted.filters]
    return _opposite(tests[0]) if wanted.operator == "!" else _combined(tests, decisive=wanted.operator == "|")


def _opposite(test: _Test) -> _Test:
    def opposite(entry: _Entry) -> bool | None:
        found = test(entry)
        return None if found is None else not found

    return opposite


def _combined(tests: Sequence[_Test], *, decisive: bool) -> _Test:
    """One that finds `decisive` is enough to decide."""

    def combined(entry: _Entry) -> bool | None:
        is_open = False
        for test in tests:
            found = test(entry)
            if found is decisive:
                return decisive
            is_open = is_open or found is None
        return None if is_open else not decisive

    return combined


def _comparison(item: Item) -> _Test:
    name, _, rule = item.attribute.partition(":")
    if plain(name) in HIDDEN:
        return lambda _entry: None
    if (item.operator, item.text) == ("=", "*"):
        return lambda entry: bool(entry.values(name))
    kind = _KINDS.get(plain(name), _text)
    try:
        test = _of_value(item, rule, kind)
    except ValueError:
        test = None
    if test is None:
        return lambda _entry: None
    return lambda entry: any(map(test, entry.compared(name, kind)))


def _of_value(item: Item, rule: str, kind: _Kind) -> Callable[[Any], bool] | None:
    """Tells of a value whether it is what the filter asks for; None: such values cannot be compared like that.

    Raises ValueError when what is asked for is no value of this kind.
    """
    parts = item.parts
    if item.operator == "=" and len(parts) > 1:
        return _has_parts(parts, kind) if kind in _WITH_PARTS else None
    if item.operator == "=":
        asked = _whole(kind, parts[0])
        return lambda value: bool(value == asked)
    if item.operator == ":=" and rule in _FLAGS:
        flags = int(parts[0])
        return lambda value: _FLAGS[rule](value, flags)
    if item.operator in ("~=", ":="):
        raise FaultError(f"the directory of a test does not compare by {rule or '~='}")
    if kind is not _number:
        return None
    bound = int(parts[0])
    return (lambda value: bool(value >= bound)) if item.operator == ">=" else (lambda value: bool(value <= bound))


def _has_parts(parts: Sequence[bytes], kind: _Kind) -> Callable[[Any], bool]:
    first, *middle, last = [kind(part) for part in parts]
    if kind in _SPACED:
        first, last = first.lstrip(" "), last.rstrip(" ")

    def has_parts(text: str) -> bool:
        position = len(first)
        for part in middle:
            found = text.find(part, position)
            if found < 0:
                return False
            position = found + len(part)
        return text.startswith(first) and text.endswith(last) and position <= len(text) - len(last)

    return has_parts


def _whole(kind: _Kind, raw: bytes) -> Any:
    value = kind(raw)
    return value.strip(" ") if kind in _SPACED else value


def _extended(classes: Sequence[str]) -> list[str]:
    """The classes that those of an entry extend."""
    found = ["top"]
    for each in classes:
        name = _EXTENDS.get(each)
        while name is not None:
            found.append(name)
            name = _EXTENDS.get(name)
    return found
