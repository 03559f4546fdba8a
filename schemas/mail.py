"""Query parameters of the check of an address."""

from typing import Final

from marshmallow import Schema

from postroom.schemas.fields import Text

#: Most characters of what is looked for; that no address has so many is a part of the answer.
_LONGEST: Final = 1000


class MailCheckQuerySchema(Schema):
    """The address, and perhaps a sender and a login."""

    address = Text(_LONGEST, required=True, metadata={"description": "The address that mail is sent to"})
    sender = Text(
        _LONGEST,
        metadata={"description": "The sender of the message; empty for a message without one, such as a bounce"},
    )
    login = Text(
        _LONGEST,
        metadata={"description": "A login name: whether it may send as the sender, or without one as the address"},
    )
