"""Converts values of directory attributes to the value of a property."""

import base64
import re
from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import cast

from marshmallow import ValidationError

from postroom.schemas.properties import parse_value
from postroom.schemas.values.proptags import Kind, PropTag, Value
from postroom.schemas.values.users import LONGEST_TEXT

DISPLAY_TYPE = 0x39050003
SMTP_ADDRESS = 0x39FE001F
_DISPLAY_TYPE_ACL_BIT = 0x40000000
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(?:(\d\d)(?:(\d\d))?)?(?:[.,]\d+)?(Z|[+-]\d{4}|[+-]\d\d)", re.ASCII)


def as_text(value: str | bytes) -> str:
    try:
        text = (value.decode() if isinstance(value, bytes) else value).strip()
        text.encode()
    except UnicodeError:
        raise ValueError("it is not UTF-8 text") from None
    if "\0" in text:
        raise ValueError("it holds a NUL character")
    return text


def convert(prop: PropTag, raw: Sequence[str | bytes], zone: tzinfo) -> Value:
    """The value of a property from the values of its attributes. ValueError with the reason when they do not fit."""
    if prop.multi:
        # All values have the property's kind.
        return cast(Value, [_single(prop, value, zone) for value in raw])
    if prop.kind is Kind.TEXT:
        # An entry may have several addresses in any order; this property holds exactly one.
        texts = [as_text(value) for value in (raw[:1] if prop.tag == SMTP_ADDRESS else raw)]
        return _short(" ".join(texts))
    if len(raw) > 1:
        raise ValueError("there are several values and the property holds one")
    value = _single(prop, raw[0], zone)
    if prop.tag == DISPLAY_TYPE and isinstance(value, int):
        return value & ~_DISPLAY_TYPE_ACL_BIT
    return value


def checked(prop: PropTag, value: Value) -> Value:
    """The value, if a client could set it as well: a client must be able to send back what it reads. ValueError."""
    try:
        return parse_value(prop, value)
    except ValidationError as error:
        reason = str(error.messages[0]).rstrip(".")
        raise ValueError(reason[0].lower() + reason[1:]) from None


def _single(prop: PropTag, value: str | bytes, zone: tzinfo) -> int | str | bool:
    if prop.kind is Kind.BINARY:
        return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()
    text = as_text(value)
    match prop.kind:
        case Kind.INTEGER:
            return _integer(text, prop.bits)
        case Kind.BOOLEAN:
            if text.upper() in ("TRUE", "FALSE", "1", "0"):
                return text.upper() in ("TRUE", "1")
            raise ValueError("it is neither TRUE nor FALSE")
        case Kind.TIME:
            return _time(text, zone)
        case _:
            return _short(text)


def _short(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"it is longer than {LONGEST_TEXT} characters")
    return text


def _integer(text: str, bits: int) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError("it is not an integer")
    number = int(text)
    if not -(1 << bits - 1) <= number < 1 << bits - 1:
        raise ValueError(f"it does not fit into {bits} bits")
    return number


def _time(text: str, zone: tzinfo) -> str:
    """GeneralizedTime (RFC 4517) as `YYYY-MM-DD HH:MM:SS` in a time zone."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("it is not a time such as 20240131120000Z")
    *parts, offset = found.groups(default="00")
    offset = "+0000" if offset == "Z" else offset.ljust(5, "0")
    try:
        moment = datetime.strptime("".join(parts) + offset, "%Y%m%d%H%M%S%z").astimezone(zone)
    except (ValueError, OverflowError):
        raise ValueError("it is not a possible time") from None
    return f"{moment:%Y-%m-%d %H:%M:%S}".rjust(19, "0")
