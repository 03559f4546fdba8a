"""Requests about create defaults: fields of a new user and of a new domain. Null means "no default"."""

from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError, fields, post_load, validate

from postroom.schemas.domains import LARGEST_MAX_USER
from postroom.schemas.fields import Bool, Input, Int, QueryInt, Text, check_date
from postroom.schemas.properties import Properties
from postroom.schemas.sync_policy import SyncPolicySchema
from postroom.schemas.values import proptags
from postroom.schemas.values.create_defaults import Defaults
from postroom.schemas.values.users import FLAGS


class _UserDefaultsBase(Input):
    """Defaults of a new user. Properties are in `properties`, or under their names beside the other fields."""

    class Meta:
        unknown = INCLUDE

    lang = Text(32, allow_none=True)
    properties = Properties()

    @post_load
    def _named(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Loads properties as {name: value}, in the place where they were given, so that all of it fits into JSON."""
        others = {name: value for name, value in data.items() if name not in self.fields}
        for name in others:
            if proptags.find(name) is None:
                raise ValidationError({name[:100]: ["Unknown field."]})
        named = {proptag.name: value for proptag, value in Properties().deserialize(others).items()}
        known = {name: value for name, value in data.items() if name in self.fields}
        if "properties" in data:
            inner = {proptag.name: value for proptag, value in data["properties"].items()}
            for name in inner.keys() & named.keys():
                raise ValidationError({name: ["Is given twice, also in properties."]})
            known["properties"] = inner
        return {**known, **named}


#: Generated from the table of the yes-or-no fields.
UserDefaultsSchema = _UserDefaultsBase.from_dict(
    {name: Bool(allow_none=True) for name in FLAGS}, name="UserDefaultsSchema"
)
UserDefaultsSchema.__doc__ = _UserDefaultsBase.__doc__


class DomainDefaultsSchema(Input):
    """Defaults of a new domain."""

    maxUser = Int(allow_none=True, validate=validate.Range(0, LARGEST_MAX_USER))
    title = Text(128, allow_none=True)
    address = Text(128, allow_none=True)
    adminName = Text(32, allow_none=True)
    tel = Text(64, allow_none=True)
    endDay = Text(10, allow_none=True, validate=check_date)
    chat = Bool(allow_none=True)
    syncPolicy = fields.Nested(SyncPolicySchema, allow_none=True)


class CreateDefaultsSchema(Input):
    """Defaults for new users and new domains."""

    user = fields.Nested(UserDefaultsSchema)
    domain = fields.Nested(DomainDefaultsSchema)


class CreateDefaultsQuerySchema(Schema):
    """`domain`: show the defaults that take effect in that domain."""

    domain = QueryInt(metadata={"description": "Show the defaults that take effect in this domain, by ID"})


def overlay(base: Defaults, over: Defaults) -> Defaults:
    """The defaults of `base`, overridden by `over`; null removes one. A property occurs only once in the result, either
    in `properties` or beside the other fields.
    """
    properties = dict(base["user"].get("properties", {}))
    user = {name: value for name, value in base["user"].items() if name != "properties"}
    for name, value in over["user"].get("properties", {}).items():
        user.pop(name, None)
        properties[name] = value
    for name, value in over["user"].items():
        if name != "properties":
            properties.pop(name, None)
            user[name] = value
    user["properties"] = _given(properties) or None
    return {"user": _given(user), "domain": _given({**base["domain"], **over["domain"]})}


def _given(fields_: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields_.items() if value is not None}
