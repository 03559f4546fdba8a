"""Tokens for programs: their text, and what remains of it."""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Final

from postroom.app.errors import UnauthenticatedError
from postroom.schemas.values.networks import Network, read_network
from postroom.storage.api_tokens import TokenRow

#: What every token begins with, so that scanners find those that got lost. A login's token never begins so.
PREFIX: Final = "postroom_"
#: Random bytes of a token. With 256 bits a fast hash is enough: nobody can try them.
_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class ApiToken:
    """The token by which a request was made."""

    id: int
    name: str
    read_only: bool
    #: Where it may be used; none: everywhere.
    networks: tuple[Network, ...]


def make_text() -> str:
    """The text of a new token."""
    return PREFIX + secrets.token_urlsafe(_BYTES)


def is_api_token(text: str) -> bool:
    """Whether a text claims to be such a token."""
    return text.startswith(PREFIX)


def hash_of(text: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def read_row(row: TokenRow) -> ApiToken:
    """The token of a row."""
    return ApiToken(row.id, row.name, row.read_only, tuple(read_network(text) for text in row.networks))


def is_over(row: TokenRow, now: float) -> bool:
    """Whether the token has expired."""
    return row.expires is not None and row.expires <= now


def invalid() -> UnauthenticatedError:
    """The error for a token that is not there, or is not to be used from here. One for both, because whoever has stolen
    one learns nothing from it.
    """
    return UnauthenticatedError("Access denied", ["The token is not valid, or not from this address"])
