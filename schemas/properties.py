"""Checks values of MAPI properties in requests and converts them to their stored form."""

import base64
import binascii
import re
from typing import Any

from marshmallow import ValidationError, fields

from postroom.schemas.fields import check_time
from postroom.schemas.values import proptags
from postroom.schemas.values.proptags import Kind, PropTag, Value
from postroom.schemas.values.users import LONGEST_TEXT

#: Stored in KiB; a request may also send a text with a unit.
QUOTAS = frozenset({"storagequotalimit", "prohibitsendquota", "prohibitreceivequota"})

# All units are powers of 1024: "10M", "10MB" and "10 MiB" are the same.
_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,3})?)[ ]?([KMGT])(?:i?B)?", re.ASCII | re.IGNORECASE)
_KIBIBYTES = {"K": 1, "M": 1024, "G": 1024**2, "T": 1024**3}


def parse_value(proptag: PropTag, value: Any) -> Value:
    """The value in its stored form. Raises ValidationError; its reason names neither the property nor the value."""
    if proptag.kind is None:
        raise ValidationError("Unsupported type.")
    if not proptag.multi:
        return _parse_single(proptag, value)
    if not isinstance(value, list):
        raise ValidationError("Invalid type: a list is needed.")
    return [_parse_single(proptag, single) for single in value]  # type: ignore[return-value]


def _parse_single(proptag: PropTag, value: Any) -> int | str | bool:
    if proptag.kind is Kind.BOOLEAN:
        if not isinstance(value, bool):
            raise ValidationError("Invalid type: true or false is needed.")
        return value
    if proptag.kind is Kind.INTEGER:
        return _parse_integer(proptag, value)
    if not isinstance(value, str):
        raise ValidationError("Invalid type: a text is needed.")
    if proptag.kind is Kind.TEXT:
        if len(value) > LONGEST_TEXT:
            raise ValidationError(f"Longer than {LONGEST_TEXT:,} characters.")
        if "\0" in value:
            raise ValidationError("Must not hold a NUL character.")
    elif proptag.kind is Kind.TIME:
        check_time(value)
    else:
        _check_base64(value)
    return value


def _parse_integer(proptag: PropTag, value: Any) -> int:
    if isinstance(value, str) and proptag.name in QUOTAS and (size := _SIZE.fullmatch(value.strip())):
        value = round(float(size[1]) * _KIBIBYTES[size[2].upper()])
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValidationError("Invalid type: a whole number is needed.")
    if not -(2 ** (proptag.bits - 1)) <= value < 2 ** (proptag.bits - 1):
        raise ValidationError(f"Does not fit into {proptag.bits} bits.")
    if proptag.name in QUOTAS and value < 0:
        raise ValidationError("Must not be negative.")
    return value


def _check_base64(text: str) -> None:
    try:
        # Encode it again and compare: the decoder ignores stray bits at the end, but a value must come back unchanged.
        valid = base64.b64encode(base64.b64decode(text, validate=True)).decode() == text
    except (binascii.Error, ValueError):
        valid = False
    if not valid:
        raise ValidationError("Invalid type: base64 is needed.")


def parse_names(names: list[str]) -> list[PropTag]:
    """The properties with these names or numbers, without duplicates. Raises ValidationError for an unknown one."""
    found: dict[int, PropTag] = {}
    for name in names:
        proptag = proptags.find(name)
        if proptag is None:
            raise ValidationError(f"Unknown property {name[:100]!r}.")
        found[proptag.tag] = proptag
    return list(found.values())


class Properties(fields.Field[dict[PropTag, Value | None]]):
    """An object name -> value; null removes one. Loads as {PropTag: value or None}. Errors list every bad property."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> dict[PropTag, Value | None]:
        if not isinstance(value, dict):
            raise ValidationError("Not an object of property names and values.")
        parsed: dict[PropTag, Value | None] = {}
        errors: dict[str, list[str]] = {}
        for name, single in value.items():
            proptag = proptags.find(name)
            try:
                if proptag is None:
                    raise ValidationError("Unknown property.")
                if proptag in parsed:
                    raise ValidationError("The same property is given twice.")
                parsed[proptag] = None if single is None else parse_value(proptag, single)
            except ValidationError as error:
                errors[name[:100]] = [str(message) for message in error.messages]
        if errors:
            raise ValidationError(errors)
        return parsed
