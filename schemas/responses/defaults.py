"""Responses about what is set for new users and domains, and about formats."""

from marshmallow import fields

from postroom.schemas.create_defaults import CreateDefaultsSchema
from postroom.schemas.fields import Input


class CreateDefaultsAnswerSchema(Input):
    """Defaults for new users and new domains; both are always there, empty when nothing is set."""

    data = fields.Nested(CreateDefaultsSchema, required=True)


class StoreLangSchema(Input):
    """A language by its code, and its name in the language itself."""

    code = fields.String(required=True)
    name = fields.String(required=True)


class StoreLangsSchema(Input):
    """Languages, by their codes."""

    data = fields.List(fields.Nested(StoreLangSchema), required=True)


class FormatSchema(Input):
    """For each text that was given, null when it is fine, or else the reason why not."""

    email = fields.String(allow_none=True)
    domain = fields.String(allow_none=True)
