"""What the keeper of several workers tells systemd: each worker writes its ID into a pipe as long as it is alive."""

import math
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from postroom.app.server.systemd import NOTHING, Systemd

#: Seconds between two looks until all workers serve.
_SOON: Final = 0.05


class Heartbeats:
    """Ready once all workers serve; alive while all that run are. A worker that is being replaced does not count."""

    def __init__(self, systemd: Systemd) -> None:
        self._systemd = systemd
        self._reads, self._writes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        #: When a worker was first seen or last heard of; which ones were heard of at all.
        self._heard: dict[int, float] = {}
        self._serving: set[int] = set()
        self._ready = systemd.send is None
        self._due = math.inf if systemd.interval is None else 0.0

    def of_worker(self) -> Systemd:
        """What a worker tells in the place of systemd."""
        return NOTHING if self._systemd.send is None else Systemd([], self._beat, self._systemd.interval)

    def _beat(self, _message: bytes) -> None:
        with suppress(BlockingIOError):  # the keeper has enough to read
            os.write(self._writes, b"%d\n" % os.getpid())

    def next_look(self) -> float:
        """When to look again."""
        return time.monotonic() + _SOON if not self._ready else self._due

    def look(self, workers: Iterable[int | None]) -> None:
        """Tells systemd what is new; `workers`: their process IDs, None for one that does not run."""
        now, pids = time.monotonic(), list(workers)
        self._listen(now)
        running = [pid for pid in pids if pid is not None]
        if not self._ready and self._serving.issuperset(running) and None not in pids:
            self._ready = True
            self._systemd.tell("READY=1")
        interval = self._systemd.interval
        if interval is not None and self._ready and now >= self._due:
            self._due = now + interval
            if running and all(now - self._heard.setdefault(pid, now) < 2 * interval for pid in running):
                self._systemd.tell("WATCHDOG=1")

    def _listen(self, now: float) -> None:
        with suppress(BlockingIOError):
            for pid in map(int, os.read(self._reads, 65536).split()):
                self._heard[pid] = now
                self._serving.add(pid)

    def close(self) -> None:
        """Closes the pipe."""
        os.close(self._reads)
        os.close(self._writes)
