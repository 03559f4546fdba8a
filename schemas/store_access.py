"""Requests about access to stores."""

from marshmallow import validate

from postroom.schemas.delegates import LONGEST_LIST
from postroom.schemas.fields import Input, Listed, Text
from postroom.schemas.values.users import LONGEST_ADDRESS


class StoreAccessPostSchema(Input):
    """The body of POST storeAccess."""

    username = Text(LONGEST_ADDRESS, required=True)


class StoreAccessPutSchema(Input):
    """The body of PUT storeAccess."""

    usernames = Listed(Text(LONGEST_ADDRESS), required=True, validate=validate.Length(max=LONGEST_LIST))
