"""The rate limit for failed logins: by name, by source, and by name from one source.

The counters are in memory and bounded. They expire a quarter of an hour after the last failure. They use the name as it
was typed: an unknown name counts like any other.
"""

import hashlib
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from postroom.app.errors import LoginFailedError, ThrottledError
from postroom.app.limits.memory import remember
from postroom.schemas.values.text import fold, printable

log = logging.getLogger("postroom.logins")

#: A source, and a name from all sources, may fail this many times as often as a name from one source.
_SHARED: Final = 5
#: Seconds without a failure until a counter expires.
_FORGOTTEN: Final = 15 * 60
#: Seconds for which a source counts as one of the user's own.
_KNOWN: Final = 30 * 24 * 3600
#: Most counters of each kind; beyond, the one with the oldest attempt is dropped.
_MOST: Final = 10_000
#: Most characters of a name in a log line.
_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class LoginSource:
    """Where a login comes from. `key` identifies it: an IPv4 address, or the first half of an IPv6 address.

    `shared`: many people may share it, so it is not throttled as a whole.
    """

    key: bytes
    shown: str
    shared: bool


def counted_source(address: IPv4Address | IPv6Address | None, *, shared: bool) -> LoginSource:
    """The source by which logins from an address are counted: of an IPv6 address the /64, in which hosts choose freely.

    A loopback address is always shared: all users of a program on this machine come from it.
    """
    if address is None:
        return LoginSource(b"", "-", shared=True)
    key = address.packed if isinstance(address, IPv4Address) else address.packed[:8]
    # The zone of a link-local address can be any text, so it is cut off.
    return LoginSource(key, str(address).partition("%")[0], shared or address.is_loopback)


class Tried:
    """An attempt in progress; its maker sets `matched` when the password was right."""

    __slots__ = ("matched",)

    def __init__(self) -> None:
        self.matched = False


class Throttle:
    """Delays logins after failures. After `free` failures of a name from one source, each further one doubles the
    delay, up to `longest` seconds. `free` 0: no attempt is ever refused. `clock` counts seconds.
    """

    def __init__(self, free: int, longest: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._off = free == 0
        self._clock = clock
        self._pairs = _Counters(free, longest)
        self._sources = _Counters(_SHARED * free, longest)
        self._names = _Counters(_SHARED * free, longest)
        #: Name and source of successful logins -> when the last one was, the oldest first.
        self._known: dict[bytes, float] = {}

    def check(self, name: str, source: LoginSource) -> None:
        """Raises ThrottledError when this name may not log in from this source at the moment."""
        self._check(self._counters(_digest(name), source), name, source)

    @contextmanager
    def attempt(self, name: str, source: LoginSource) -> Iterator[Tried]:
        """Counts the block as a failed login unless it sets `matched`; while it runs, it counts already.

        Raises ThrottledError. Logs a failed login as one line.
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

    def fail(self, name: str, source: LoginSource) -> None:
        """Counts a failed attempt that took no time: with a token, which is looked up and not computed."""
        log.warning("Login failed from %s for %s", source.shown, _quoted(name))
        now = self._clock()
        for counters, each in self._counters(_digest(name), source):
            counters.begin(each, now)
            counters.end(each, now, failed=True)

    def recognise(self, name: str, source: LoginSource) -> None:
        """Marks the source as one of the user's own: a token of the user has come from it."""
        self._recognise(_digest(name), source)

    def _counters(self, key: bytes, source: LoginSource) -> "list[tuple[_Counters, bytes]]":
        """The counters of an attempt. Failures of strangers elsewhere do not block a user's own source."""
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
        # Logged once for each delay: otherwise a client that goes on could fill the log.
        counters, each = counted[waits.index(longest)]
        if counters.tell(each):
            log.warning("Login refused from %s for %s", source.shown, _quoted(name))
        raise ThrottledError("Too many failed logins", math.ceil(longest))

    def _recognise(self, key: bytes, source: LoginSource) -> None:
        if source.shared:
            return  # many people share it
        remember(self._known, key + source.key, self._clock(), _MOST)


class _Counter:
    """Failures of one name, source or pair, and how many attempts are in progress."""

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
        #: The one with the oldest attempt first.
        self._counters: dict[bytes, _Counter] = {}

    def wait(self, key: bytes, now: float) -> float:
        """Seconds until the next attempt may begin; 0 when the counter has expired."""
        counter = self._counters.get(key)
        if counter is None or self._over(counter, now) or counter.failures + counter.in_flight < self._free:
            return 0.0
        # Attempts in progress count as failures until they end, so no more start at once than may fail.
        return max(counter.blocked_until - now, 1.0 if counter.in_flight else 0.0)

    def begin(self, key: bytes, now: float) -> None:
        """Counts the begin of an attempt."""
        counter = self._counters.get(key)
        if counter is None or self._over(counter, now):
            counter = _Counter()
        remember(self._counters, key, counter, _MOST)
        counter.in_flight += 1
        counter.last = now

    def end(self, key: bytes, now: float, *, failed: bool) -> None:
        """Counts the end of an attempt, unless its counter has been dropped meanwhile."""
        counter = self._counters.get(key)
        if counter is None:
            return
        counter.in_flight = max(counter.in_flight - 1, 0)
        if failed:
            counter.failures += 1
            counter.last = now
            counter.told = False
            if counter.failures >= self._free:
                # The exponent is bounded, because a float would overflow.
                counter.blocked_until = now + min(2.0 ** min(counter.failures - self._free, 30), self._longest)

    def forget(self, key: bytes) -> None:
        """Resets the failures: the login succeeded, so they were the user's own."""
        counter = self._counters.get(key)
        if counter is not None:
            counter.failures = 0
            counter.blocked_until = 0.0

    def tell(self, key: bytes) -> bool:
        """Whether this delay has not been logged yet; marks it as logged."""
        counter = self._counters[key]
        told, counter.told = counter.told, True
        return not told

    @staticmethod
    def _over(counter: _Counter, now: float) -> bool:
        return not counter.in_flight and now - counter.last > _FORGOTTEN


def _digest(name: str) -> bytes:
    # Has a fixed length, and does not keep a password that somebody typed into the wrong field.
    return hashlib.blake2b(fold(name).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _quoted(name: str) -> str:
    """The name on one line, in quotes that it cannot close."""
    shown = printable(name[:_SHOWN]).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{shown}"'
