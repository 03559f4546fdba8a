"""Ends connections on which a server does not answer any more.

The limits of a statement are the server's. A server that hangs, or is gone without a word, keeps none of them, and its
machine may acknowledge every packet: then libpq waits for ever.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from postroom.storage.postgresql.connection import Connection
from postroom.storage.postgresql.sessions import Session

#: Seconds of waiting after which the server is asked whether it answers at all, and between two looks.
PATIENCE: Final = 3.0
_INTERVAL: Final = 0.5


class Watchdog:
    """A thread that looks after these sessions. `answers` tells whether the server of a connection lets us in."""

    def __init__(self, sessions: Sequence[Session], answers: Callable[[Connection], bool]) -> None:
        self._sessions = sessions
        self._answers = answers
        self._stopped = threading.Event()
        #: Server -> when it has last answered.
        self._answered: dict[object, float] = {}
        self._thread = threading.Thread(target=self._watch, name="postgresql watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends it, at the latest after a question that is under way."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(_INTERVAL):
            self._look()

    def _look(self) -> None:
        silent: set[object] = set()
        for session in self._sessions:
            connection = session.connection
            waiting = connection and connection.waiting
            if not connection or not waiting:
                continue
            now, (since, seconds), server = time.monotonic(), waiting, connection.address
            if now > since + seconds:
                connection.cut()
            elif server in silent or now > max(since, self._answered.get(server, 0.0)) + PATIENCE:
                if server not in silent and self._answers(connection):
                    self._answered[server] = time.monotonic()
                elif connection.waiting == waiting:  # it may have its answer by now, and wait for another one
                    silent.add(server)
                    connection.cut()
