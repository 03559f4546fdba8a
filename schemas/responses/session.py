"""Responses to a login, and about the caller."""

from marshmallow import fields

from postroom.schemas.authmgr import AuthmgrSchema
from postroom.schemas.fields import ADDITION, Input
from postroom.schemas.responses.users import UserSchema


class LoginAnswerSchema(Input):
    """The token for the cookie `grommunioAuthJwt`, and what X-Csrf-Token has to be with it."""

    grommunioAuthJwt = fields.String(required=True)
    csrf = fields.String(required=True)


class ProfileSchema(Input):
    """The caller and what they may do."""

    user = fields.Nested(UserSchema, required=True)
    capabilities = fields.List(fields.String(), required=True)


class AuthmgrAnswerSchema(AuthmgrSchema):
    """What a login goes by, twice: the public description has it at the top, the web console reads it in `data`."""

    data = fields.Nested(AuthmgrSchema, required=True, metadata=ADDITION)
