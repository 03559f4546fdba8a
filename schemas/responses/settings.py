"""Responses about the settings of the service."""

from marshmallow import fields, validate

from postroom.schemas.fields import Input


class SettingSchema(Input):
    """A setting, named as in a settings file, its value as it is written there, and where that comes from."""

    name = fields.String(required=True)
    value = fields.String(required=True)
    source = fields.String(required=True, validate=validate.OneOf(["default", "file", "environment", "option"]))


class SettingListSchema(Input):
    """All settings."""

    data = fields.List(fields.Nested(SettingSchema), required=True)
