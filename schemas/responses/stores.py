"""Responses about stores: users with access, properties, and lists of addresses."""

from marshmallow import fields

from postroom.schemas.fields import ADDITION, Input, Int
from postroom.schemas.responses.common import MessageSchema


class AddressesSchema(Input):
    """Addresses, in the stored order."""

    data = fields.List(fields.String(), required=True)


class StoreMemberSchema(Input):
    """A user who may open the store. `memberID` is `ID` as text: some clients read one, some the other."""

    ID = Int(required=True, metadata=ADDITION)
    memberID = fields.String(required=True)
    displayName = fields.String(required=True)
    username = fields.String(required=True)


class StoreMembersSchema(Input):
    """The users who may open the store."""

    data = fields.List(fields.Nested(StoreMemberSchema), required=True)


class StorePropsSchema(Input):
    """Properties by name, without those that are not set."""

    data = fields.Dict(keys=fields.String(), required=True)


class StorePropsErrorsSchema(MessageSchema):
    """The result of a change, and the reason for each property that was not written."""

    errors = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
