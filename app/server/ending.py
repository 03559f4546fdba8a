"""The shutdown deadline: after SIGINT or SIGTERM the process ends in time, even if something hangs.

Python waits for its threads at exit, and a thread that waits for a hanging disk or library never returns. So a separate
thread watches the deadline; it needs neither the event loop nor any other thread. This is safe for the database: every
change that a response has confirmed is on disk, and the next start rolls back the others.
"""

import logging
import os
import select
import signal
import time
from collections.abc import Callable
from threading import Thread
from types import FrameType
from typing import Final

log = logging.getLogger("postroom")

#: Seconds for threads to end once everything is closed. Their results are not needed any more.
_THREADS: Final = 0.5
#: Read in place of a signal number: everything is closed; the lifeline has ended.
_CLOSED: Final = 0
_ALONE: Final = 255
#: Share of the time that is reserved for cutting off requests and closing, and its upper bound in seconds.
_SHARE: Final = 0.4
_ENOUGH: Final = 2.0


class Ending:
    """Waits for SIGINT or SIGTERM, then ends the process within `seconds`; a second signal ends it at once.

    The end of a `lifeline` (a pipe that another process holds) is like a first signal, and never like a second one:
    whoever signals all processes of a service at once cuts nobody off.
    """

    def __init__(self, seconds: float, lifeline: int | None = None) -> None:
        self._seconds = seconds
        self._lifeline = lifeline
        self._until = 0.0
        # A signal handler must not need a lock, because the main thread may hold it. Writing to a pipe needs none.
        self._reads, self._writes = os.pipe()

    def watch(self, told: Callable[[], None]) -> None:
        """Starts to watch. Call it on the main thread; the first signal calls `told` on another thread."""
        Thread(target=self._watch, args=(told,), name="postroom-ending", daemon=True).start()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def left_for_requests(self) -> float:
        """Seconds that requests in flight may still take; the reserve for closing everything is left out."""
        return max(self._until - time.monotonic() - min(_ENOUGH, _SHARE * self._seconds), 0)

    def closed(self) -> None:
        """Reports that everything is closed: threads that still run are not needed any more."""
        os.write(self._writes, bytes([_CLOSED]))

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        os.write(self._writes, bytes([number]))

    def _watch(self, told: Callable[[], None]) -> None:
        first = self._next(None, self._lifeline)
        if first == _CLOSED:  # the service failed to start
            return
        self._until = time.monotonic() + self._seconds
        told()
        second = self._next(self._seconds)
        if first == _ALONE and second not in (None, _CLOSED):
            second = self._next(max(self._until - time.monotonic(), 0))
        if second == _CLOSED:
            self._next(min(_THREADS, max(self._until - time.monotonic(), 0)))
            os._exit(0)
        if second is None:
            log.error("Cut off: the shutdown took longer than %g seconds", self._seconds)
            os._exit(1)
        log.warning("Cut off by a second signal")
        os._exit(128 + second)

    def _next(self, seconds: float | None, lifeline: int | None = None) -> int | None:
        """The next signal number, _CLOSED or _ALONE; None when nothing came within `seconds`."""
        watched = [self._reads] if lifeline is None else [self._reads, lifeline]
        while True:
            ready, _, _ = select.select(watched, [], [], seconds)
            if self._reads in ready:
                return os.read(self._reads, 1)[0]
            if not ready:
                return None
            if lifeline is not None and _has_ended(lifeline):
                return _ALONE
            # What was written to it has no meaning.


def _has_ended(lifeline: int) -> bool:
    try:
        return not os.read(lifeline, 4096)
    except OSError:
        return True  # a terminal that is gone
