"""A person in the directory of a server of a test."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from marshmallow import INCLUDE, Schema, ValidationError, post_load, pre_load, validate

from postroom.schemas.fields import Text
from postroom.schemas.ldap import check_attribute_name

_MOST_ATTRIBUTES: Final = 256
_MOST_VALUES: Final = 1000
_LONGEST_VALUE: Final = 1 << 20


class PersonSchema(Schema):
    """An entry: its attributes by name, each a value or a list of values. Or the `uid` alone.

    A value is text, or `{"base64": "..."}` for bytes; in Python also bytes. Null or an empty list: there is none.
    Loads to `dn` (None: it follows from `uid`) and `attributes`, name -> values as bytes.
    """

    class Meta:
        unknown = INCLUDE

    dn = Text(1024, load_default=None, validate=validate.Length(min=1))

    @pre_load
    def _short(self, data: Any, **_: Any) -> Any:
        return {"uid": data} if isinstance(data, str) else data

    @post_load
    def _attributes(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        dn = data.pop("dn")
        if len(data) > _MOST_ATTRIBUTES:
            raise ValidationError(f"More than {_MOST_ATTRIBUTES} attributes.")
        return {"dn": dn, "attributes": {name: _values(name, given) for name, given in data.items()}}


def _values(name: str, given: Any) -> list[bytes]:
    try:
        check_attribute_name(name)
        values = [] if given is None else given if isinstance(given, list | tuple) else [given]
        if len(values) > _MOST_VALUES:
            raise ValidationError(f"More than {_MOST_VALUES} values.")
        return [_value(value) for value in values]
    except ValidationError as error:
        raise ValidationError({name: error.messages}) from None


def _value(given: Any) -> bytes:
    raw = _encoded(given) if isinstance(given, str) else given
    if isinstance(given, Mapping) and list(given) == ["base64"]:
        raw = _decoded(given["base64"])
    if not isinstance(raw, bytes):
        raise ValidationError('Neither text nor {"base64": "..."}.')
    if not raw or len(raw) > _LONGEST_VALUE:
        raise ValidationError("A value is empty or longer than 1 MiB.")
    return raw


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ValidationError("Not valid Unicode.") from None


def _decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise ValidationError("Not valid base64.") from None
