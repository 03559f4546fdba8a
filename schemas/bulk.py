"""The lines of a bulk request, and its query."""

from marshmallow import Schema, fields, validate

from postroom.schemas.fields import Input, Int, QueryBool, Text
from postroom.schemas.users import UserCreateSchema, UserPatchSchema
from postroom.schemas.values.users import LONGEST_ADDRESS, LONGEST_HASH


class UserBulkQuerySchema(Schema):
    """How the lines are done."""

    dryRun = QueryBool(
        load_default=False,
        metadata={"description": "Try each line by itself, and change nothing: no line sees what another would do"},
    )
    stopOnError = QueryBool(load_default=False, metadata={"description": "End with the first line that is refused"})


class BulkCreateSchema(UserCreateSchema):
    """A user to create: as in POST users, or with the hash of a password in place of the password."""

    passwordHash = Text(LONGEST_HASH, load_only=True)


class BulkDeleteSchema(Input):
    """The user to delete, by `ID` or by `username`."""

    ID = Int()
    username = Text(LONGEST_ADDRESS, validate=validate.Length(min=1))


class BulkLineSchema(Input):
    """One line: exactly one action. `patch` and `delete` name a user by `ID`, or else by `username`. `ifMatch` is the
    ETag of that user, as in the header If-Match.
    """

    create = fields.Nested(BulkCreateSchema)
    patch = fields.Nested(UserPatchSchema)
    delete = fields.Nested(BulkDeleteSchema)
    ifMatch = Text(1024)
