"""Responses about the service itself."""

from marshmallow import fields

from postroom.schemas.fields import ADDITION, Input, Int


class BackupStateSchema(Input):
    """The newest scheduled backup, and why the last attempt failed if it did."""

    time = fields.String(required=True, allow_none=True, metadata=ADDITION)
    age = Int(required=True, allow_none=True, metadata=ADDITION)
    error = fields.String(required=True, allow_none=True, metadata=ADDITION)


class StatusSchema(Input):
    """The response of GET /status."""

    message = fields.String(required=True)
    database = fields.Boolean(required=True)
    tasq = fields.Boolean(required=True)
    engine = fields.String(required=True, metadata=ADDITION)
    backup = fields.Nested(BackupStateSchema(), metadata=ADDITION)


class AboutSchema(Input):
    """The response of GET /about."""

    API = fields.String(required=True)
    backend = fields.String(required=True)
    schema = Int(required=True, allow_none=True)


class LicenseSchema(Input):
    """The licence: the number of users is unlimited. `currentUsers` is how many there are."""

    product = fields.String(required=True, allow_none=True)
    maxUsers = Int(required=True)
    notBefore = fields.String(required=True, allow_none=True)
    notAfter = fields.String(required=True, allow_none=True)
    currentUsers = Int(required=True, allow_none=True)
    certificate = fields.String(required=True, allow_none=True)
