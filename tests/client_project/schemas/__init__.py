"""What the client returns."""

from typing import NamedTuple


class User(NamedTuple):
    """A user by ID and name."""

    number: int
    username: str
