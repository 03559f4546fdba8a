"""The out-of-office state, in requests and responses."""

import unicodedata

from marshmallow import EXCLUDE, Schema, ValidationError, validate

from postroom.schemas.fields import Int, Text, check_time
from postroom.schemas.values.users import LONGEST_TEXT

STATE_OFF, STATE_ON, STATE_SCHEDULED = 0, 1, 2
AUDIENCE_NOBODY, AUDIENCE_KNOWN, AUDIENCE_EVERYBODY = 0, 1, 2

LONGEST_SUBJECT = 255


def check_subject(text: str) -> None:
    """Raises ValidationError for any line break: the rest of a subject must not become a header or a body."""
    # Text refuses ASCII control characters only. Some readers also treat NEL and Unicode separators as line breaks.
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in text):
        raise ValidationError("Must be one line of text without control characters.")


class OofSchema(Schema):
    """The out-of-office state of a user. In a change, null removes a field; an empty subject counts as set."""

    class Meta:
        # A web client also sends the state of its interface.
        unknown = EXCLUDE

    state = Int(validate=validate.OneOf((STATE_OFF, STATE_ON, STATE_SCHEDULED)))
    externalAudience = Int(validate=validate.OneOf((AUDIENCE_NOBODY, AUDIENCE_KNOWN, AUDIENCE_EVERYBODY)))
    startTime = Text(19, allow_none=True, validate=check_time)
    endTime = Text(19, allow_none=True, validate=check_time)
    internalSubject = Text(LONGEST_SUBJECT, allow_none=True, validate=check_subject)
    internalReply = Text(LONGEST_TEXT, line=False, allow_none=True)
    externalSubject = Text(LONGEST_SUBJECT, allow_none=True, validate=check_subject)
    externalReply = Text(LONGEST_TEXT, line=False, allow_none=True)
