"""What is wrong with a text that is to become an address or the name of a domain."""

from marshmallow import Schema, ValidationError, fields

from postroom.schemas.addresses import normalise_address
from postroom.schemas.domains import DomainName


class FormatQuerySchema(Schema):
    """The texts to look at. No limits here: a text that is too long is an answer, not a mistake of the caller."""

    email = fields.String(metadata={"description": "A text that is to become an address"})
    domain = fields.String(metadata={"description": "A text that is to become the name of a domain"})


def reason_against_address(text: str) -> str | None:
    """Why nobody can have this address; None when somebody can."""
    try:
        normalise_address(text)
    except ValueError as error:
        return str(error)
    return None


def reason_against_domain(text: str) -> str | None:
    """Why no mail domain can have this name; None when one can."""
    try:
        DomainName(255).deserialize(text)
    except ValidationError as error:
        return " ".join(str(reason) for reason in error.messages)
    return None
