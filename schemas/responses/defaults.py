"""Responses about create defaults, languages and formats."""

from marshmallow import fields

from postroom.schemas.create_defaults import CreateDefaultsSchema
from postroom.schemas.fields import Input


class CreateDefaultsAnswerSchema(Input):
    """Defaults for new users and new domains. Both are always present, but may be empty."""

    data = fields.Nested(CreateDefaultsSchema, required=True)


class StoreLangSchema(Input):
    """A language by its code, and its name in the language itself."""

    code = fields.String(required=True)
    name = fields.String(required=True)


class StoreLangsSchema(Input):
    """Languages, sorted by code."""

    data = fields.List(fields.Nested(StoreLangSchema), required=True)


class FormatSchema(Input):
    """For each given text: null if it is valid, otherwise the reason why it is not."""

    email = fields.String(allow_none=True)
    domain = fields.String(allow_none=True)
