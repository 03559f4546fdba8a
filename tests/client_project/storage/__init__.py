"""Where the client remembers users."""

from schemas import User

remembered: list[User] = []
