"""Responses about stores: who may open them, their properties, and lists of addresses."""

from marshmallow import fields

from postroom.schemas.fields import ADDITION, Input, Int
from postroom.schemas.responses.common import MessageSchema


class AddressesSchema(Input):
    """Addresses, in the order in which they were put."""

    data = fields.List(fields.String(), required=True)


class StoreMemberSchema(Input):
    """A user who may open the store. `memberID` is `ID` as text: two generations of clients read one each."""

    ID = Int(required=True, metadata=ADDITION)
    memberID = fields.String(required=True)
    displayName = fields.String(required=True)
    username = fields.String(required=True)


class StoreMembersSchema(Input):
    """The users who may open the store."""

    data = fields.List(fields.Nested(StoreMemberSchema), required=True)


class StorePropsSchema(Input):
    """Properties by name; one that is not there is left out."""

    data = fields.Dict(keys=fields.String(), required=True)


class StorePropsErrorsSchema(MessageSchema):
    """What became of a change, and the reason for each property that was not written."""

    errors = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
