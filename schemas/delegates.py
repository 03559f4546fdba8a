"""Delegates and send-as as they come in."""

from marshmallow import validate

from postroom.schemas.fields import Input
from postroom.schemas.users import Addresses

#: Longest list of people.
LONGEST_LIST = 10_000


class AddressListSchema(Input):
    """The body of PUT delegates and PUT sendas: a bare array of addresses."""

    #: The field that the array, which has no name of its own, is loaded as.
    bare_list = "addresses"

    addresses = Addresses(required=True, validate=validate.Length(max=LONGEST_LIST))
