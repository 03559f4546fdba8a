"""Requests that log in or change passwords."""

from marshmallow import Schema

from postroom.schemas.fields import Input, Text
from postroom.schemas.values.users import LONGEST_ADDRESS

#: Longest password, in characters. A longer one is refused, never truncated.
LONGEST_PASSWORD = 512


#: `user` and `pass`, as a form or as JSON. Without both, a valid cookie is renewed. Made from a dict, because `pass`
#: cannot be an attribute in Python.
LoginSchema = Schema.from_dict(
    {"user": Text(LONGEST_ADDRESS), "pass": Text(LONGEST_PASSWORD, line=False, load_only=True)}, name="LoginSchema"
)


class NewPasswordSchema(Input):
    """The body of PUT password."""

    new = Text(LONGEST_PASSWORD, line=False, required=True)


class ChangePasswordSchema(Input):
    """The body of PUT /passwd. With `user`, that name and `old` identify the user; no login is needed."""

    new = Text(LONGEST_PASSWORD, line=False, required=True)
    old = Text(LONGEST_PASSWORD, line=False, required=True)
    user = Text(LONGEST_ADDRESS)
