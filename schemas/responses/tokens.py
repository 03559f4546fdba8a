"""Responses about tokens for programs, and about logins."""

from marshmallow import fields

from postroom.schemas.fields import Bool, Input, Int, Text
from postroom.schemas.responses.common import UserRefSchema
from postroom.schemas.roles import PermissionTarget
from postroom.schemas.tokens import LONGEST_NAME


class TokenPermissionSchema(Input):
    """What a token is limited to; `params` is the domain or organisation."""

    permission = Text(64, required=True)
    params = PermissionTarget(required=True, allow_none=True)


class TokenSchema(Input):
    """A token. `permissions` null: all that its owner may do. `lastUsed` may be a minute behind."""

    ID = Int(required=True)
    name = Text(LONGEST_NAME, required=True)
    owner = fields.Nested(UserRefSchema, required=True)
    permissions = fields.List(fields.Nested(TokenPermissionSchema), required=True, allow_none=True)
    readOnly = Bool(required=True)
    networks = fields.List(Text(64), required=True)
    created = Text(19, required=True)
    expires = Text(19, required=True, allow_none=True)
    lastUsed = Text(19, required=True, allow_none=True)
    lastSource = Text(64, required=True, allow_none=True)


class NewTokenSchema(TokenSchema):
    """A token that was just made, with its text, which is shown this once."""

    token = Text(64, required=True)


class TokenListSchema(Input):
    """Tokens; `count` is the total number of matches."""

    count = Int(required=True)
    data = fields.List(fields.Nested(TokenSchema), required=True)


class SessionSchema(Input):
    """A login that has not ended. `current`: the one that makes this request. `lastUsed` may be a minute behind."""

    ID = Text(32, required=True)
    created = Text(19, required=True)
    lastUsed = Text(19, required=True)
    source = Text(64, required=True)
    userAgent = Text(200, required=True)
    current = Bool(required=True)


class SessionListSchema(Input):
    """Logins, the one used last first."""

    data = fields.List(fields.Nested(SessionSchema), required=True)
