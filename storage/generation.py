"""The number that grows with every change of who may do what, as this process knows it."""

import threading
import time

from postroom.storage.engine import Connection

SELECT_GENERATION = "SELECT value FROM auth_generation"


def find_auth_generation(connection: Connection) -> int:
    """The number as it stands on a connection; triggers in the schema count it up."""
    (generation,) = connection.execute(SELECT_GENERATION).fetchone()
    return int(generation)


class Generation:
    """What the last look at the database has found. Every hop to a connection looks, before it reads anything else.

    So whatever another process has revoked counts with the next response here, if `was_seen_since` is asked before it
    goes out.
    """

    def __init__(self, value: int) -> None:
        self._value = value
        self._seen = 0.0
        self._lock = threading.Lock()

    @property
    def value(self) -> int:
        """The number. It never goes back: a look that began before a commit may end after it."""
        return self._value

    @staticmethod
    def mark() -> float:
        """This moment, for `was_seen_since`."""
        return time.monotonic()

    def was_seen_since(self, mark: float) -> bool:
        """Whether a look that began after this moment has ended."""
        return self._seen > mark

    def look(self, connection: Connection) -> None:
        """Learns the number from a connection."""
        mark = self.mark()
        self.learn(find_auth_generation(connection), mark)

    def learn(self, value: int, mark: float) -> None:
        """Takes over what a look that began at this moment has found."""
        with self._lock:
            self._value = max(self._value, value)
            self._seen = max(self._seen, mark)
