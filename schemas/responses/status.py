"""Responses about the service itself."""

from marshmallow import fields, validate

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


class PartSchema(Input):
    """A part of the service. `detail`: the engine, the servers of a directory, the time of the newest backup or why
    the last one failed. `orgID`: the organisation of a directory; null: of all others.
    """

    part = fields.String(required=True, validate=validate.OneOf(["database", "tasks", "directory", "backup"]))
    works = fields.Boolean(required=True)
    detail = fields.String(required=True)
    orgID = Int(required=True, allow_none=True)


class HealthSchema(Input):
    """The parts that there are; `works`: all of them do."""

    works = fields.Boolean(required=True)
    data = fields.List(fields.Nested(PartSchema), required=True)


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
