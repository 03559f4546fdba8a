"""Responses about roles."""

from marshmallow import fields

from postroom.schemas.fields import ADDITION, Input, Int, Text
from postroom.schemas.responses.common import RoleRefSchema, UserRefSchema
from postroom.schemas.roles import PermissionSchema, PermissionTarget


class RolePermissionSchema(PermissionSchema):
    """A permission of a role; `params` is the domain or organisation that it applies to."""

    ID = Int(required=True)
    params = PermissionTarget(required=True, allow_none=True, metadata=ADDITION)


class RoleSchema(Input):
    """A role. The level decides which fields it has."""

    ID = Int(required=True)
    name = Text(32, required=True)
    description = Text(256, allow_none=True, line=False)
    permissions = fields.List(fields.Nested(RolePermissionSchema))
    users = fields.List(fields.Nested(UserRefSchema))


class RoleListSchema(Input):
    """Roles; `count` is the total number of matches."""

    count = Int(required=True, metadata=ADDITION)
    data = fields.List(fields.Nested(RoleSchema), required=True)


class PermissionNamesSchema(Input):
    """Names of permissions."""

    data = fields.List(fields.String(), required=True)


class UserRolesAnswerSchema(Input):
    """The roles of a user."""

    data = fields.List(fields.Nested(RoleRefSchema), required=True)
