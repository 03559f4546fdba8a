"""Hashes and checks passwords in threads, with a limit on how many run and wait at once."""

import asyncio
import contextlib
import ctypes
import hashlib
import hmac
import os
import secrets
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from typing import Final

import argon2

from postroom.app.auth.salted_hashes import SchemeError, read_salted_hash
from postroom.app.errors import InvalidError, ThrottledError, too_many_logins
from postroom.app.limits.memory import remember
from postroom.app.limits.turns import Turns
from postroom.schemas.session import LONGEST_PASSWORD

#: OWASP Password Storage Cheat Sheet, Argon2id: 19 MiB, two passes, one lane.
_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

#: A login with an unknown name is checked against this hash, so that it takes as long as one with a known name. It is a
#: hash of random bytes that were thrown away, with the costs above.
_DUMMY_HASH = "$argon2id$v=19$m=19456,t=2,p=1$lKPkGaeXzNLKBx69WY/Ycw$ghZR++HhaQa7louYyGfbjjQjJBnUUZ8igrPRz1BC9KA"


#: Most checks that wait for their turn, in all and of one source: a second or two of work, even on a small machine.
_MOST_CHECKS, _MOST_CHECKS_EACH = 1024, 64
#: Most new hashes that wait. Only users who are logged in or have given their password can cause one.
_MOST_HASHES = 1024
#: Seconds for which a right password of a mail client is not computed again, and how many are known at most.
REPEATED_FOR: Final = 300.0
_MOST_REPEATS: Final = 10_000

#: From malloc.h: malloc() maps blocks of this size and above, and unmaps them when they are freed.
_M_MMAP_THRESHOLD = -3


def check_new_password(password: str | None, minimum: int, field: str) -> str:
    """Returns the password if it is acceptable. Raises InvalidError naming the field, never the password."""
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
    """Whether the password matches a stored hash: Argon2, a kind that crypt() knows ($6$, $5$, $2b$, $y$), or one of a
    scheme in braces (salted_hashes.py).
    """
    if stored.startswith("$argon2"):
        try:
            return _HASHER.verify(stored, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False
    if stored.startswith("{"):
        try:
            salted = read_salted_hash(stored)
        except SchemeError:
            return False
        return salted is not None and salted.matches(password)
    if not stored.startswith("$") or "\0" in password:
        return False
    computed = _crypt(password, stored)
    return computed is not None and hmac.compare_digest(computed.encode(), stored.encode())


def _crypt(password: str, stored: str) -> str | None:
    """Hashes a password with the system's crypt() and the salt of a stored hash; None if crypt() lacks its kind.

    The only use of legacycrypt, which calls crypt_r through ctypes: threads share no buffer and release the
    interpreter. Imported at the first use, because finding the library is slow, and a login replaces a foreign hash.
    """
    import legacycrypt

    try:
        computed: str | None = legacycrypt.crypt(password, stored)
    except (OSError, ValueError):
        return None
    return computed or None


def _verify_evenly(stored: str, password: str) -> bool:
    """Like verify_hash(), but a foreign hash, which may be far cheaper, also costs a check of the dummy hash.

    This happens once for each foreign hash, because a login replaces it.
    """
    matches = verify_hash(stored, password)
    if Passwords.needs_rehash(stored):
        verify_hash(_DUMMY_HASH, password)
    return matches


def _return_large_blocks() -> None:
    """Makes the C library return the 19 MiB of each hash to the system; glibc would keep them for good."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1024 * 1024)


def _too_many_hashes() -> ThrottledError:
    return ThrottledError("Too many new passwords at once", 1)


class Passwords:
    """Separate thread pools for checking passwords and for hashing new ones, so that neither waits for the other. Call
    `close()` at the end.
    """

    #: A failed login is answered at a multiple of this time after the work began, in seconds. Other kinds of hashes and
    #: directories take more or less time than our own hash; the step hides the difference.
    failure_step = 0.25

    def __init__(self, threads: int | None = None) -> None:
        _return_large_blocks()
        # Leaves one core to the event loop if there are several. Each thread takes 19 MiB.
        threads = threads or min(max(len(os.sched_getaffinity(0)) - 1, 1), 4)
        self._checking = ThreadPoolExecutor(threads, thread_name_prefix="postroom-logins")
        self._hashing = ThreadPoolExecutor(threads, thread_name_prefix="postroom-passwords")
        self._checks = Turns(threads, too_many_logins, most=_MOST_CHECKS, most_each=_MOST_CHECKS_EACH)
        #: Digest of a hash and the password that matches it -> until when it need not be computed again.
        self._repeats: dict[bytes, float] = {}
        self._repeats_key = secrets.token_bytes(32)
        self._hashes = Turns(threads, _too_many_hashes, most=_MOST_HASHES, most_each=_MOST_HASHES)

    def turn(self, source: Hashable) -> AbstractAsyncContextManager[None]:
        """A turn to check one password; sources take turns. Raises ThrottledError when too many wait."""
        return self._checks.turn(source)

    async def hash(self, password: str, owner: Hashable = None) -> str:
        """Hashes a password with Argon2id; waiting owners take turns. Raises ThrottledError when too many wait."""
        async with self._hashes.turn(owner):
            return await asyncio.get_running_loop().run_in_executor(self._hashing, _HASHER.hash, password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether the password matches the hash; False for None, after the same time.

        Call it inside a turn() for passwords that a client sent.
        """
        loop = asyncio.get_running_loop()
        matches = await loop.run_in_executor(self._checking, _verify_evenly, stored or _DUMMY_HASH, password)
        return matches and stored is not None

    async def verify_repeated(self, stored: str | None, password: str) -> bool:
        """Like verify(), for logins that come often: a right password is not computed again for a while.

        Only success is remembered, and only for this very hash: with a new password it is worth nothing.
        """
        if stored is None:
            return await self.verify(stored, password)
        digest = self._digest(stored, password)
        now = asyncio.get_running_loop().time()
        if self._repeats.get(digest, now) > now:
            return True
        matches = await self.verify(stored, password)
        if matches:
            remember(self._repeats, digest, now + REPEATED_FOR, _MOST_REPEATS)
        return matches

    def _digest(self, stored: str, password: str) -> bytes:
        # The key is random and never leaves this process. A stored hash has no NUL, so no two pairs are the same text.
        text = f"{stored}\0{password}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._repeats_key, digest_size=32).digest()

    @staticmethod
    def needs_rehash(stored: str) -> bool:
        """Whether the hash has another kind or other costs than new hashes."""
        try:
            return not stored.startswith("$argon2") or _HASHER.check_needs_rehash(stored)
        except argon2.exceptions.InvalidHashError:
            return True

    def close(self) -> None:
        """Stops the threads after their current hash."""
        for pool in (self._checking, self._hashing):
            pool.shutdown(wait=False, cancel_futures=True)
