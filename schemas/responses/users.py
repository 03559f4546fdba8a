"""Responses about users."""

from marshmallow import fields, validate

from postroom.schemas.fields import ADDITION, Input, Int, Text
from postroom.schemas.responses.common import HomeserverRefSchema, RoleRefSchema
from postroom.schemas.sync_policy import SyncPolicySchema
from postroom.schemas.users import AltnameSchema, FetchmailSchema, ForwardSchema, PrivilegesSchema
from postroom.schemas.values.users import LONGEST_ADDRESS, STATUSES


class FetchmailEntrySchema(FetchmailSchema):
    """An account on another server, without its password."""

    class Meta:
        exclude = ("srcPassword",)


class UserSchema(PrivilegesSchema):
    """A user. The level decides which fields it has: 0 has ID and username, 1 four more, 2 all."""

    ID = Int(required=True)
    username = Text(LONGEST_ADDRESS, required=True)
    domainID = Int()  # 0 for the administrator, who is in no domain
    ldapID = fields.String(allow_none=True)
    status = Int(validate=validate.OneOf(STATUSES))
    lang = Text(32)
    aliases = fields.List(fields.String())
    altnames = fields.List(fields.Nested(AltnameSchema))
    fetchmail = fields.List(fields.Nested(FetchmailEntrySchema))
    properties = fields.Dict(keys=fields.String())
    roles = fields.List(fields.Nested(RoleRefSchema))
    forward = fields.Nested(ForwardSchema, allow_none=True)
    mlist = Int(allow_none=True)
    syncPolicy = fields.Nested(SyncPolicySchema, allow_none=True)
    orgID = Int()
    homeserver = fields.Nested(HomeserverRefSchema, allow_none=True)


class UserListSchema(Input):
    """A page of users; `count` is the total number of matches. `nextAfter` and `nextBefore` come only with a query that
    has `after` or `before`, where more users follow or precede.
    """

    count = Int(required=True, metadata=ADDITION)
    nextAfter = Int(metadata=ADDITION)
    nextBefore = Int(metadata=ADDITION)
    data = fields.List(fields.Nested(UserSchema), required=True)


class UsernameSchema(Input):
    """A user by name."""

    username = fields.String(required=True)


class UsernamesSchema(Input):
    """A list of usernames."""

    data = fields.List(fields.Nested(UsernameSchema), required=True)
