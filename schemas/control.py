"""What the controls of `postroom serve --ephemeral` take."""

from typing import Any, Final

from marshmallow import INCLUDE, Schema, ValidationError, fields, validate, validates_schema

from postroom.schemas.faults import Number
from postroom.schemas.fields import Bool, Input, Int, QueryBool, QueryInt, Text
from postroom.schemas.values.users import LONGEST_ADDRESS

#: Seconds: three hundred years.
_FURTHEST: Final = 10_000_000_000
_FASTEST: Final = 1_000_000
_MOST_REQUESTS: Final = 10_000


class ClockPatchSchema(Input):
    """How the clock goes on: what is not named stays as it is."""

    frozen = Bool(metadata={"description": "Whether it stands still; if not, it runs like the machine's"})
    now = Text(40, metadata={"description": "A moment, in the time zone of the server unless it says another"})
    forward = Number(
        validate=validate.Range(-_FURTHEST, _FURTHEST),
        metadata={"description": "Seconds to turn it by; back only while it stands still"},
    )
    factor = Number(
        validate=validate.Range(0, _FASTEST, min_inclusive=False),
        metadata={"description": "How many times as fast as the machine's it runs"},
    )

    @validates_schema
    def _is_one_thing(self, data: dict[str, Any], **_: Any) -> None:
        if not data:
            raise ValidationError("Says nothing: give frozen, now, forward or factor.")
        if "now" in data and "forward" in data:
            raise ValidationError("Only one of now and forward can be given.", "forward")
        if "factor" in data and data.get("frozen"):
            raise ValidationError("A clock that stands still has no factor.", "factor")


class SnapshotCreateSchema(Input):
    """A snapshot of what is stored now; without a name, it gets one."""

    optional = True

    name = Text(100, validate=validate.Length(min=1))


class SeedDocumentSchema(Input):
    """A seed. Entries are objects, or names alone; docs/testing.md says what they may have."""

    organisations = fields.List(fields.Raw())
    domains = fields.List(fields.Raw())
    roles = fields.List(fields.Raw())
    users = fields.List(fields.Raw())
    tokens = fields.List(fields.Raw())


class LoginRequestSchema(Input):
    """Who is to be logged in, without a password."""

    user = Text(LONGEST_ADDRESS, required=True, metadata={"description": "Username or alias"})


class RequestsQuerySchema(Input):
    """Which requests; without any of it, the latest ones."""

    operation = Text(100, metadata={"description": "The operation ID"})
    caller = Text(LONGEST_ADDRESS, metadata={"description": "The username of who made them"})
    status = QueryInt(validate=validate.Range(100, 599), metadata={"description": "Of the response"})
    problems = QueryBool(load_default=False, metadata={"description": "Only those with problems"})
    limit = QueryInt(
        validate=validate.Range(0, _MOST_REQUESTS),
        load_default=1000,
        metadata={"description": "How many, from the latest back"},
    )


class DirectoryPatchSchema(Input):
    """How the directory behaves."""

    away = Bool(metadata={"description": "Whether it refuses connections, like a server that is down"})
    sizeLimit = Int(
        allow_none=True,
        validate=validate.Range(min=1),
        metadata={"description": "Most entries of one answer; null: no limit"},
    )


class PersonDocumentSchema(Schema):
    """A person in the directory: attributes by name, each a value or a list of values. A value is text, or
    `{"base64": "..."}`; null removes an attribute. `dn` follows from `uid` unless it is given.
    """

    class Meta:
        unknown = INCLUDE
