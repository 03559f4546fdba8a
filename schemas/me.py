"""Requests of users about what is their own."""

from marshmallow import Schema, fields

from postroom.schemas.fields import Input, QueryBool
from postroom.schemas.users import ForwardSchema


class OwnForwardSchema(Input):
    """Where the mail of a user goes, in requests and responses; null: it stays."""

    forward = fields.Nested(ForwardSchema, required=True, allow_none=True)


class EndSessionsQuerySchema(Schema):
    """`others`: the login of the request goes on."""

    others = QueryBool(load_default=False, metadata={"description": "Keep the login that makes this request"})
