"""Hashing and checking passwords, off the event loop, several at a time but not without bound."""

import asyncio
import contextlib
import ctypes
import hmac
import os
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager

import argon2

from postroom.app.errors import InvalidError, ThrottledError, too_many_logins
from postroom.app.limits.turns import Turns
from postroom.schemas.session import LONGEST_PASSWORD

#: OWASP Password Storage Cheat Sheet, Argon2id: 19 MiB, two passes, one lane.
_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

#: What a login with an unknown name is checked against, so that it takes as long as one with a known name: a hash of
#: random bytes that nobody kept, with the costs above.
_DUMMY_HASH = "$argon2id$v=19$m=19456,t=2,p=1$lKPkGaeXzNLKBx69WY/Ycw$ghZR++HhaQa7louYyGfbjjQjJBnUUZ8igrPRz1BC9KA"


#: Most checks that wait for their turn, in all and of one source: a second or two of work, also on a small machine.
_MOST_CHECKS, _MOST_CHECKS_EACH = 1024, 64
#: The same for new hashes, which only those can ask for who are logged in or have given their password.
_MOST_HASHES = 1024

#: malloc.h: blocks of this size and more are mapped, and unmapped when freed.
_M_MMAP_THRESHOLD = -3


def check_new_password(password: str | None, minimum: int, field: str) -> str:
    """Returns the password when it may be set. Raises InvalidError naming the field, never the password."""
    if not password:
        raise InvalidError.field(field, "A password is needed.")
    if "\0" in password:
        raise InvalidError.field(field, "Must not hold a NUL character.")
    if len(password) > LONGEST_PASSWORD:
        raise InvalidError.field(field, f"Longer than {LONGEST_PASSWORD} characters.")
    if len(password) < minimum:
        raise InvalidError.field(field, f"Shorter than {minimum} characters.")
    return password


def verify_hash(stored: str, password: str) -> bool:
    """Whether the password belongs to a stored hash: Argon2, or what crypt() knows ($6$, $5$, $2b$, $y$)."""
    if stored.startswith("$argon2"):
        try:
            return _HASHER.verify(stored, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False
    if not stored.startswith("$") or "\0" in password:
        return False
    computed = _crypt(password, stored)
    return computed is not None and hmac.compare_digest(computed.encode(), stored.encode())


def _crypt(password: str, stored: str) -> str | None:
    """What crypt() of the system makes of a password with the salt of a stored hash; None when it knows no such kind.

    The only use of legacycrypt. It calls crypt_r through ctypes, so threads neither share a buffer nor hold the
    interpreter. Imported when first needed: finding the library is slow, and foreign hashes are replaced at the first
    login.
    """
    import legacycrypt

    try:
        computed: str | None = legacycrypt.crypt(password, stored)
    except (OSError, ValueError):
        return None
    return computed or None


def _verify_evenly(stored: str, password: str) -> bool:
    """The same, with a hash of today's costs beside a foreign one, which may take far less; it is there once only."""
    matches = verify_hash(stored, password)
    if Passwords.needs_rehash(stored):
        verify_hash(_DUMMY_HASH, password)
    return matches


def _return_large_blocks() -> None:
    """Has the C library give the 19 MiB of each hash back to the system: glibc would keep them for good."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1024 * 1024)


def _too_many_hashes() -> ThrottledError:
    return ThrottledError("Too many new passwords at once", 1)


class Passwords:
    """Threads that check passwords and others that hash new ones, so that neither waits for the other. `close()` when
    done.
    """

    def __init__(self, threads: int | None = None) -> None:
        _return_large_blocks()
        # One core is left to the event loop where there are several; each thread takes 19 MiB.
        threads = threads or min(max(len(os.sched_getaffinity(0)) - 1, 1), 4)
        self._checking = ThreadPoolExecutor(threads, thread_name_prefix="postroom-logins")
        self._hashing = ThreadPoolExecutor(threads, thread_name_prefix="postroom-passwords")
        self._checks = Turns(threads, too_many_logins, most=_MOST_CHECKS, most_each=_MOST_CHECKS_EACH)
        self._hashes = Turns(threads, _too_many_hashes, most=_MOST_HASHES, most_each=_MOST_HASHES)

    def turn(self, source: Hashable) -> AbstractAsyncContextManager[None]:
        """The right to check one password, source by source. Raises ThrottledError when too many wait."""
        return self._checks.turn(source)

    async def hash(self, password: str, owner: Hashable = None) -> str:
        """An Argon2id hash; those who wait (`owner`) have their turns one after the other. Raises ThrottledError."""
        async with self._hashes.turn(owner):
            return await asyncio.get_running_loop().run_in_executor(self._hashing, _HASHER.hash, password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether the password belongs to the hash; with None the same time passes and the answer is no.

        What comes from outside is checked in a turn().
        """
        loop = asyncio.get_running_loop()
        matches = await loop.run_in_executor(self._checking, _verify_evenly, stored or _DUMMY_HASH, password)
        return matches and stored is not None

    @staticmethod
    def needs_rehash(stored: str) -> bool:
        """Whether the hash is of another kind, or of other costs, than those made today."""
        try:
            return not stored.startswith("$argon2") or _HASHER.check_needs_rehash(stored)
        except argon2.exceptions.InvalidHashError:
            return True

    def close(self) -> None:
        """Lets the hashing under way end and stops the threads."""
        for pool in (self._checking, self._hashing):
            pool.shutdown(wait=False, cancel_futures=True)
