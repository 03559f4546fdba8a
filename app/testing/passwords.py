"""Passwords that cost nothing. They exist only here, and a server with them listens only on loopback."""

from functools import cache
from typing import Final

import argon2

from postroom.app.auth.passwords import Passwords, verify_hash

#: The password of `admin`, and of every user whose seed has none.
PASSWORD: Final = "correct horse"  # noqa: S105 - everybody may know it

_HASHER: Final = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@cache
def cheap_hash(password: str) -> str:
    """A hash that takes microseconds; the same for the same password."""
    return _HASHER.hash(password)


class CheapPasswords(Passwords):
    """Hashes and checks at once, without threads, and answers failed logins at once."""

    failure_step = 0.001

    async def hash(self, password: str, owner: object = None) -> str:  # noqa: ARG002 - nobody has to wait
        """A cheap hash."""
        return cheap_hash(password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether the password matches the hash, of whatever kind."""
        return verify_hash(stored or cheap_hash("nobody knows this"), password) and stored is not None

    @staticmethod
    def needs_rehash(stored: str) -> bool:
        """Hashes of other kinds are replaced as ever."""
        return not stored.startswith("$argon2")
