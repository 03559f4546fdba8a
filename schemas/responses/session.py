"""Responses about logins and the caller."""

from marshmallow import fields

from postroom.schemas.authmgr import AuthmgrSchema
from postroom.schemas.fields import ADDITION, Bool, Input, Int
from postroom.schemas.responses.users import UserSchema


class LoginAnswerSchema(Input):
    """The token for the cookie `grommunioAuthJwt`, and the matching value for the header X-Csrf-Token."""

    grommunioAuthJwt = fields.String(required=True)
    csrf = fields.String(required=True)


class ScopeSchema(Input):
    """Where a capability counts: in all domains, or in these; for `OrgAdmin` organisations in place of domains."""

    capability = fields.String(required=True, metadata=ADDITION)
    all = Bool(required=True, metadata=ADDITION)
    IDs = fields.List(Int(), required=True, metadata=ADDITION)


class ProfileSchema(Input):
    """The caller and their permissions. A capability without an entry in `scopes` counts everywhere."""

    user = fields.Nested(UserSchema, required=True)
    capabilities = fields.List(fields.String(), required=True)
    scopes = fields.List(fields.Nested(ScopeSchema), required=True, metadata=ADDITION)


class AuthmgrAnswerSchema(AuthmgrSchema):
    """The backend for logins. It occurs twice: the public API description has it at the top level, the web console
    reads it from `data`.
    """

    data = fields.Nested(AuthmgrSchema, required=True, metadata=ADDITION)
