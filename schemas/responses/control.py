"""What the controls of `postroom serve --ephemeral` return."""

from marshmallow import INCLUDE, Schema, fields

from postroom.schemas.faults import ArmedFaultSchema
from postroom.schemas.fields import Bool, Input, Int


class ClockSchema(Input):
    """The clock of the server."""

    now = fields.String(required=True, metadata={"description": "In the time zone of the server"})
    unix = fields.Float(required=True)
    frozen = Bool(required=True)
    factor = fields.Float(required=True, metadata={"description": "How fast it runs; 0 while it stands still"})


class BeginningSchema(Input):
    """The server is as it was; all other logins have ended, or are those of that time."""

    message = fields.String(required=True)
    token = fields.String(required=True, metadata={"description": "A login of the administrator"})


class SnapshotSchema(Input):
    """A snapshot."""

    name = fields.String(required=True)


class LoginTokenSchema(Input):
    """A login."""

    token = fields.String(required=True)


class NotedRequestSchema(Input):
    """A request that the server got. Passwords and tokens in bodies are masked."""

    operation = fields.String(required=True, allow_none=True)
    method = fields.String(required=True)
    path = fields.String(required=True, metadata={"description": "With the query, as it arrived"})
    caller = fields.String(required=True, allow_none=True)
    body = fields.Raw(required=True, allow_none=True)
    status = Int(required=True, allow_none=True, metadata={"description": "Null: without a response"})
    moment = fields.String(required=True, metadata={"description": "By the clock of the server, in UTC"})
    seconds = fields.Float(required=True)
    faults = fields.List(Int(), required=True, metadata={"description": "The IDs of the faults that it met"})
    problems = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "With `--strict`: what the description of the API does not allow"},
    )


class NotedRequestsSchema(Input):
    """Requests in the order of their answers, and how many match in all."""

    count = Int(required=True)
    data = fields.List(fields.Nested(NotedRequestSchema), required=True)


class ArmedFaultsSchema(Input):
    """The faults that are armed, in the order in which they were added."""

    count = Int(required=True)
    data = fields.List(fields.Nested(ArmedFaultSchema), required=True)


class ContactSchema(Input):
    """What a device was told: whether it has to start over, and its wipe status."""

    resync = Bool(required=True)
    status = Int(required=True)


class WipeSchema(Input):
    """The wipe status of a device."""

    status = Int(required=True)


class DirectoryEntrySchema(Schema):
    """An entry of the directory: its DN, and each attribute as a list of values."""

    class Meta:
        unknown = INCLUDE

    dn = fields.String(required=True)


class MemoryDirectorySchema(Input):
    """The directory inside the server."""

    away = Bool(required=True)
    sizeLimit = Int(required=True, allow_none=True)
    config = fields.Dict(required=True, metadata={"description": "For PUT /system/mconf/ldap"})
    people = fields.List(fields.Nested(DirectoryEntrySchema), required=True)
