"""The end of the process: when it has been told to end, it ends in time, whatever still runs.

Python waits for its threads at the end, and one that asks a disk or a library that hangs never comes back. So a thread
of its own keeps the time: it needs neither the event loop nor any other thread. The database bears it: whatever was
answered is on disk, and what was not is undone at the next start.
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

#: Seconds for threads to end once everything is closed. Nothing of theirs is needed any more.
_THREADS: Final = 0.5
#: What is written instead of a number of a signal: everything is closed.
_CLOSED: Final = 0
#: Of the time, the part that is kept for cutting off and closing, and how much of it is enough.
_SHARE: Final = 0.4
_ENOUGH: Final = 2.0


class Ending:
    """Waits for SIGINT or SIGTERM, then ends the process within so many seconds; a second signal ends it at once."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = 0.0
        # Whatever a signal handler does has to be possible while the main thread holds any lock: a write to a pipe is.
        self._reads, self._writes = os.pipe()

    def watch(self, told: Callable[[], None]) -> None:
        """From now on; `told` is called on another thread. To be called on the main one."""
        Thread(target=self._watch, args=(told,), name="postroom-ending", daemon=True).start()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def left_for_requests(self) -> float:
        """Seconds that requests under way may still take, so that there is time to close everything."""
        return max(self._until - time.monotonic() - min(_ENOUGH, _SHARE * self._seconds), 0)

    def closed(self) -> None:
        """Everything is closed: what may still run is nobody's."""
        os.write(self._writes, bytes([_CLOSED]))

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        os.write(self._writes, bytes([number]))

    def _watch(self, told: Callable[[], None]) -> None:
        first = self._next(None)
        if first == _CLOSED:  # the start has failed
            return
        self._until = time.monotonic() + self._seconds
        told()
        second = self._next(self._seconds)
        if second == _CLOSED:
            self._next(min(_THREADS, max(self._until - time.monotonic(), 0)))
            os._exit(0)
        if second is None:
            log.error("Cut off: not everything had ended after %g seconds", self._seconds)
            os._exit(1)
        log.warning("Cut off by a second signal")
        os._exit(128 + second)

    def _next(self, seconds: float | None) -> int | None:
        """What comes next: the number of a signal, or that all is closed; None when nothing has come in time."""
        ready, _, _ = select.select([self._reads], [], [], seconds)
        return os.read(self._reads, 1)[0] if ready else None
