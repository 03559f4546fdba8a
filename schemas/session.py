"""Logging in and changing passwords."""

from marshmallow import Schema

from postroom.schemas.fields import Input, Text
from postroom.schemas.values.users import LONGEST_ADDRESS

#: Longest password; more is refused, never cut short.
LONGEST_PASSWORD = 512


#: `user` and `pass`, as a form or as JSON; both missing: a valid cookie is refreshed. Python has no attribute `pass`.
LoginSchema = Schema.from_dict(
    {"user": Text(LONGEST_ADDRESS), "pass": Text(LONGEST_PASSWORD, line=False, load_only=True)}, name="LoginSchema"
)


class NewPasswordSchema(Input):
    """The body of PUT password."""

    new = Text(LONGEST_PASSWORD, line=False, required=True)


class ChangePasswordSchema(Input):
    """The body of PUT /passwd. With `user`, that name and `old` are the login."""

    new = Text(LONGEST_PASSWORD, line=False, required=True)
    old = Text(LONGEST_PASSWORD, line=False, required=True)
    user = Text(LONGEST_ADDRESS)
