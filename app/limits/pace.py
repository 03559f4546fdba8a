"""How a long request or response goes on: whether the client keeps it going, or keeps the service waiting."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from postroom.app.limits.clients import Limits


class Pace:
    """The time for which the service has waited for a client in one direction: to send more, or to read more.

    The work of the service does not count. Whenever enough bytes have moved, the time begins anew: a client that sends
    fast for a while cannot use that up by being slow later.
    """

    __slots__ = ("_moved", "_since", "_waited")

    def __init__(self) -> None:
        self._waited = 0.0
        self._moved = 0
        self._since: float | None = None

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Surrounds each wait for the client."""
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._waited += time.monotonic() - self._since
            self._since = None

    def moved(self, octets: int) -> None:
        """So many bytes have arrived or left."""
        self._moved += octets

    def is_too_slow(self, limits: Limits) -> bool:
        """Whether the client takes longer than it may for the body of any request. Asked once a second."""
        now = time.monotonic()
        if self._since is not None:
            self._waited += now - self._since
            self._since = now
        if self._moved >= limits.body * limits.rate:
            self._moved, self._waited = 0, 0.0
        return self._waited > limits.body
