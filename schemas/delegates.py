"""Requests about delegates and send-as."""

from marshmallow import validate

from postroom.schemas.fields import Input
from postroom.schemas.users import Addresses

#: Most people in one list.
LONGEST_LIST = 10_000


class AddressListSchema(Input):
    """The body of PUT delegates and PUT sendas: a bare array of addresses."""

    #: The array itself has no name; it loads as this field.
    bare_list = "addresses"

    addresses = Addresses(required=True, validate=validate.Length(max=LONGEST_LIST))
