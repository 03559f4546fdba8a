"""Requests that read, change or remove single properties of a store."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError, post_load

from postroom.schemas.fields import CommaSeparated, Text
from postroom.schemas.properties import parse_names, parse_value
from postroom.schemas.values import proptags
from postroom.schemas.values.proptags import PropTag, Value

UNKNOWN_TAG, INVALID_TYPE, UNSUPPORTED_TYPE = "Unknown tag", "Invalid type", "Unsupported type"


@dataclass(frozen=True, slots=True)
class StorePropsChange:
    """The valid changes (None removes a property), and the reason for each invalid one, by name."""

    properties: dict[PropTag, Value | None]
    errors: dict[str, str]


class StorePropsQuerySchema(Schema):
    """The properties to read or to remove, by name or number; loads as a list of PropTag."""

    properties = CommaSeparated(
        Text(100), load_default=list, metadata={"description": "The properties, by name or by number (`0x3001001f`)"}
    )

    @post_load
    def _parse(self, data: dict[str, Any], **_: Any) -> list[PropTag]:
        try:
            return parse_names(data["properties"])
        except ValidationError as error:
            raise ValidationError({"properties": error.messages}) from None


class StorePropsPatchSchema(Schema):
    """Properties by name or number; null removes one. Loads as a StorePropsChange, which lists the invalid ones."""

    class Meta:
        unknown = INCLUDE

    # Read the original: marshmallow passes unknown fields in no particular order, but of several names for one property
    # the last one counts.
    @post_load(pass_original=True)
    def _parse(self, _data: dict[str, Any], original: Mapping[str, Any], **_: Any) -> StorePropsChange:
        if not original:
            raise ValidationError("Name at least one property.")
        change = StorePropsChange({}, {})
        for name, value in original.items():
            proptag = proptags.find(name)
            reason = UNKNOWN_TAG if proptag is None else _put(change.properties, proptag, value)
            if reason:
                change.errors[name[:100]] = reason
        return change


def _put(properties: dict[PropTag, Value | None], proptag: PropTag, value: Any) -> str | None:
    """Adds the value in its stored form, or returns the reason why it is invalid."""
    try:
        properties[proptag] = None if value is None else parse_value(proptag, value)
    except ValidationError:
        return UNSUPPORTED_TYPE if proptag.kind is None else INVALID_TYPE
    return None
