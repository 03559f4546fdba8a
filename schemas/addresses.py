"""E-mail addresses: one spelling for each, so that they compare as text everywhere."""

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

#: RFC 5321: 64 for the local part, 255 for the domain, and the @. Longer text is not even looked at.
MAX_LENGTH = 320

# There is no argument for it, only this list: many houses have their mail in a domain like firm.local.
SPECIAL_USE_DOMAIN_NAMES.clear()


def normalise_address(text: str) -> str:
    """The address in lower case with its domain in ASCII (`jörg@xn--bcher-kva.example`).

    ValueError with a plain English reason when it is none. Domains without a dot (`localhost`)
    are good.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"The address is longer than {MAX_LENGTH} characters")
    try:
        found = validate_email(text, check_deliverability=False, allow_smtputf8=True, globally_deliverable=False)
    except EmailNotValidError as exc:
        raise ValueError(str(exc)) from None
    return f"{found.local_part.lower()}@{found.ascii_domain.lower()}"


def domain_of(address: str) -> str:
    """The part after the last @ in lower case: for a normalised address its ASCII domain."""
    return address.rpartition("@")[2].lower()
