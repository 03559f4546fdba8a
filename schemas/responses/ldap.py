"""Responses about the directory and updates from it."""

from marshmallow import fields, validate

from postroom.schemas.fields import ADDITION, Input, Int
from postroom.schemas.ldap import LdapConfigSchema
from postroom.schemas.responses.common import UserRefSchema
from postroom.schemas.values.users import STATUSES


class SyncItemSchema(Input):
    """The result for one entry of the directory; `changes` is field -> [before, after]."""

    ID = Int()  # of the user, if there is one
    username = fields.String(required=True)
    code = Int(required=True, validate=validate.OneOf([200, 201, 400, 404, 409, 500, 503]))
    message = fields.String(required=True)
    action = fields.String(
        required=True, validate=validate.OneOf(["create", "update", "unchanged", "unlink", "skip"]), metadata=ADDITION
    )
    objectID = fields.String(required=True, metadata=ADDITION)
    changes = fields.Dict(keys=fields.String(), values=fields.List(fields.Raw(allow_none=True)))


class SyncAnswerSchema(Input):
    """The result of updating many users, or (dry run) what it would do."""

    message = fields.String(required=True, metadata=ADDITION)
    data = fields.List(fields.Nested(SyncItemSchema), required=True)


class LdapPersonSchema(Input):
    """A person in the directory; `error` is the reason why they cannot be imported."""

    ID = fields.String(required=True)
    name = fields.String(required=True)
    email = fields.String(required=True, allow_none=True)
    type = fields.String(required=True, validate=validate.OneOf(["user", "contact"]))
    error = fields.String(required=True, allow_none=True)


class LdapPeopleSchema(Input):
    """The people found in the directory."""

    data = fields.List(fields.Nested(LdapPersonSchema), required=True)


class DumpSchema(Input):
    """An entry of the directory as LDIF text."""

    data = fields.String(required=True)


class OrphanSchema(UserRefSchema):
    """A linked user whose object is gone. A value that is not set is an empty text."""

    displayname = fields.String(required=True, metadata=ADDITION)
    status = Int(required=True, validate=validate.OneOf(STATUSES), metadata=ADDITION)
    smtpaddress = fields.String(required=True, metadata=ADDITION)


class OrphansSchema(Input):
    """Linked users whose object is gone."""

    orphaned = fields.List(fields.Nested(OrphanSchema), required=True)


class DeletedOrphansSchema(Input):
    """The orphans that were deleted."""

    deleted = fields.List(fields.Nested(UserRefSchema), required=True)


class LdapConfigAnswerSchema(Input):
    """The configuration of the directory with its defaults, without the bind password; empty if there is none.

    `ldapAvailable`: whether the server answers now.
    """

    ldapAvailable = fields.Boolean(required=True)
    data = fields.Nested(LdapConfigSchema(partial=True), required=True)
