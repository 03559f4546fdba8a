"""How often a password may be tried: by name, by source, and by name from one source.

Everything is in memory, bounded, and forgotten a quarter of an hour after the last failure. What a name is counted by
is the name as it was given: a name that nobody has is counted like any other.
"""

import hashlib
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from postroom.app.errors import LoginFailedError, ThrottledError
from postroom.app.limits.memory import remember
from postroom.schemas.values.text import fold, printable

log = logging.getLogger("postroom.logins")

#: A source, and a name from everywhere, may fail so many times as often as a name from one source.
_SHARED: Final = 5
#: Seconds without a failure after which all is forgotten.
_FORGOTTEN: Final = 15 * 60
#: Seconds for which a source is known to be one of a user's own.
_KNOWN: Final = 30 * 24 * 3600
#: Entries of each kind; beyond, the one that failed least lately makes room.
_MOST: Final = 10_000
#: Characters of a name in a line of the log.
_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class LoginSource:
    """Where a password comes from. `key` is what is counted, an address or the first half of one of IPv6.

    `shared`: many people are behind it whom nothing tells apart, so it is not throttled as a whole.
    """

    key: bytes
    shown: str
    shared: bool


class Tried:
    """An attempt that goes on; whoever makes it says so when it was right."""

    __slots__ = ("matched",)

    def __init__(self) -> None:
        self.matched = False


class Throttle:
    """After `free` failures of a name from one source each further one doubles the time until the next is looked at, up
    to `longest` seconds. `free` 0: nothing is ever refused. `clock` counts seconds.
    """

    def __init__(self, free: int, longest: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._off = free == 0
        self._clock = clock
        self._pairs = _Counters(free, longest)
        self._sources = _Counters(_SHARED * free, longest)
        self._names = _Counters(_SHARED * free, longest)
        #: Pairs of name and source that were right -> when that was, the one longest ago first.
        self._known: dict[bytes, float] = {}

    def check(self, name: str, source: LoginSource) -> None:
        """Raises ThrottledError when the name may not be tried from there at the moment."""
        self._check(self._counters(_digest(name), source), name, source)

    @contextmanager
    def attempt(self, name: str, source: LoginSource) -> Iterator[Tried]:
        """Counts what is done inside as a failure, from its beginning on, until it turns out to have been right.

        Raises ThrottledError. A failed login is one line in the log.
        """
        key, tried = _digest(name), Tried()
        counted = self._counters(key, source)
        self._check(counted, name, source)
        for counters, each in counted:
            counters.begin(each, self._clock())
        try:
            yield tried
        except LoginFailedError:
            log.warning("Login failed from %s for %s", source.shown, _quoted(name))
            raise
        finally:
            for counters, each in counted:
                counters.end(each, self._clock(), failed=not tried.matched)
            if tried.matched:
                self._pairs.forget(key + source.key)
                self._recognise(key, source)

    def recognise(self, name: str, source: LoginSource) -> None:
        """The source is one of the user's own: a token of theirs has come from it."""
        self._recognise(_digest(name), source)

    def _counters(self, key: bytes, source: LoginSource) -> "list[tuple[_Counters, bytes]]":
        """What an attempt is counted in. A user's own source is in no way of what strangers do elsewhere."""
        if self._off:
            return []
        pair = key + source.key
        counted = [(self._pairs, pair)]
        since = self._known.get(pair)
        if since is None or self._clock() - since > _KNOWN:
            counted.append((self._names, key))
            if not source.shared:
                counted.append((self._sources, source.key))
        return counted

    def _check(self, counted: "list[tuple[_Counters, bytes]]", name: str, source: LoginSource) -> None:
        now = self._clock()
        waits = [counters.wait(each, now) for counters, each in counted]
        longest = max(waits, default=0.0)
        if longest <= 0:
            return
        # Once for each time that has to pass, or whoever goes on would fill the log.
        counters, each = counted[waits.index(longest)]
        if counters.tell(each):
            log.warning("Login refused from %s for %s", source.shown, _quoted(name))
        raise ThrottledError("Too many failed logins", math.ceil(longest))

    def _recognise(self, key: bytes, source: LoginSource) -> None:
        if source.shared:
            return  # it is everybody's
        remember(self._known, key + source.key, self._clock(), _MOST)


class _Counter:
    """Failures of one name, source or pair, and how many attempts go on whose outcome is open."""

    __slots__ = ("blocked_until", "failures", "in_flight", "last", "told")

    def __init__(self) -> None:
        self.failures = 0
        self.in_flight = 0
        self.blocked_until = 0.0
        self.last = 0.0
        self.told = False


class _Counters:
    def __init__(self, free: int, longest: float) -> None:
        self._free = free
        self._longest = longest
        #: The one that failed least lately first.
        self._counters: dict[bytes, _Counter] = {}

    def wait(self, key: bytes, now: float) -> float:
        """Seconds until the next attempt may begin; none are left of what is forgotten."""
        counter = self._counters.get(key)
        if counter is None or self._over(counter, now) or counter.failures + counter.in_flight < self._free:
            return 0.0
        # Of several at once, only as many go on as may fail.
        return max(counter.blocked_until - now, 1.0 if counter.in_flight else 0.0)

    def begin(self, key: bytes, now: float) -> None:
        """An attempt goes on."""
        counter = self._counters.get(key)
        if counter is None or self._over(counter, now):
            counter = _Counter()
        remember(self._counters, key, counter, _MOST)
        counter.in_flight += 1
        counter.last = now

    def end(self, key: bytes, now: float, *, failed: bool) -> None:
        """It is over; nothing is counted where it has made room meanwhile."""
        counter = self._counters.get(key)
        if counter is None:
            return
        counter.in_flight = max(counter.in_flight - 1, 0)
        if failed:
            counter.failures += 1
            counter.last = now
            counter.told = False
            if counter.failures >= self._free:
                # Doubling beyond what a float holds would be an error.
                counter.blocked_until = now + min(2.0 ** min(counter.failures - self._free, 30), self._longest)

    def forget(self, key: bytes) -> None:
        """The failures were somebody's own."""
        counter = self._counters.get(key)
        if counter is not None:
            counter.failures = 0
            counter.blocked_until = 0.0

    def tell(self, key: bytes) -> bool:
        """Whether this time of waiting has not been told yet."""
        counter = self._counters[key]
        told, counter.told = counter.told, True
        return not told

    @staticmethod
    def _over(counter: _Counter, now: float) -> bool:
        return not counter.in_flight and now - counter.last > _FORGOTTEN


def _digest(name: str) -> bytes:
    # Of one length, and no text that somebody typed into the wrong field is kept.
    return hashlib.blake2b(fold(name).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _quoted(name: str) -> str:
    """On one line, in quotes that it cannot end."""
    shown = printable(name[:_SHOWN]).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{shown}"'
