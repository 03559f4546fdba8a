"""Out of office, as it comes in and as it goes out."""

import unicodedata

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from postroom.schemas.fields import Bool, Input, Int, Text, check_time

STATE_OFF, STATE_ON, STATE_SCHEDULED = 0, 1, 2

LONGEST_SUBJECT = 255
#: As long as the text of a property.
LONGEST_REPLY = 32_767


def check_subject(text: str) -> None:
    """Raises ValidationError for anything that may end a line: a subject must not go on as a header or a body."""
    # Text knows the ASCII control characters; NEL and the Unicode separators end a line just as well for some readers.
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in text):
        raise ValidationError("Must be one line of text without control characters.")


class OofSchema(Schema):
    """The out of office state of a user. In a change, null removes a field; an empty subject is one that is set."""

    class Meta:
        # A web client sends the state of its interface along.
        unknown = EXCLUDE

    state = Int(validate=validate.OneOf((STATE_OFF, STATE_ON, STATE_SCHEDULED)))
    externalAudience = Int(validate=validate.OneOf((0, 1, 2)))
    startTime = Text(19, allow_none=True, validate=check_time)
    endTime = Text(19, allow_none=True, validate=check_time)
    internalSubject = Text(LONGEST_SUBJECT, allow_none=True, validate=check_subject)
    internalReply = Text(LONGEST_REPLY, line=False, allow_none=True)
    externalSubject = Text(LONGEST_SUBJECT, allow_none=True, validate=check_subject)
    externalReply = Text(LONGEST_REPLY, line=False, allow_none=True)


class OofInForceSchema(OofSchema):
    """The out of office state, and whether replies are due at this moment."""

    inForce = Bool(required=True)


class ServiceOofSchema(Input):
    """What a mail server asks for before it replies."""

    data = fields.Nested(OofInForceSchema, required=True)
