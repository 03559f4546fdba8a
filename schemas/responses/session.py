"""Responses about logins and the caller."""

from marshmallow import fields

from postroom.schemas.authmgr import AuthmgrSchema
from postroom.schemas.fields import ADDITION, Input
from postroom.schemas.responses.users import UserSchema


class LoginAnswerSchema(Input):
    """The token for the cookie `grommunioAuthJwt`, and the matching value for the header X-Csrf-Token."""

    grommunioAuthJwt = fields.String(required=True)
    csrf = fields.String(required=True)


class ProfileSchema(Input):
    """The caller and their permissions."""

    user = fields.Nested(UserSchema, required=True)
    capabilities = fields.List(fields.String(), required=True)


class AuthmgrAnswerSchema(AuthmgrSchema):
    """The backend for logins. It occurs twice: the public API description has it at the top level, the web console
    reads it from `data`.
    """

    data = fields.Nested(AuthmgrSchema, required=True, metadata=ADDITION)
