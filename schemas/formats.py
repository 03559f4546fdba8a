"""Checks whether a text could be an address or a domain name."""

from marshmallow import Schema, ValidationError, fields

from postroom.schemas.addresses import normalise_address
from postroom.schemas.domains import DomainName


class FormatQuerySchema(Schema):
    """The texts to check. They have no length limit here: "too long" is a result, not an error of the request."""

    email = fields.String(metadata={"description": "The text to check as an address"})
    domain = fields.String(metadata={"description": "The text to check as a domain name"})


def reason_against_address(text: str) -> str | None:
    """Why the text cannot be an address; None if it can."""
    try:
        normalise_address(text)
    except ValueError as error:
        return str(error)
    return None


def reason_against_domain(text: str) -> str | None:
    """Why the text cannot be the name of a mail domain; None if it can."""
    try:
        DomainName(255).deserialize(text)
    except ValidationError as error:
        return " ".join(str(reason) for reason in error.messages)
    return None
