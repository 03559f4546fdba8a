"""Whether the database is still where it was opened.

SQLite writes on into a file that was deleted or replaced, and so do its transactions: nobody would ever find them.
"""

import logging
import os
import threading

from postroom.storage.connections import IN_MEMORY
from postroom.storage.faults import LostDatabaseError

log = logging.getLogger("postroom.storage")

#: Which file a path leads to: its device and its number there. None when it leads nowhere.
Identity = tuple[int, int] | None


class Presence:
    """The files of a database that has just been opened, and what their paths lead to afterwards."""

    def __init__(self, path: str, opened: Identity = None) -> None:
        """`opened`: the file that was there before it was opened; a restore may have replaced it meanwhile."""
        self._path = os.path.abspath(path)  # noqa: PTH100 - as text: this is looked at with each commit
        self._lock = threading.Lock()
        #: Why the database cannot be used; None while it is where it was.
        self.lost: str | None = None
        names = () if path == IN_MEMORY else (self._path, f"{self._path}-wal", f"{self._path}-shm")
        self._opened = [(name, identity) for name in names if (identity := identity_of(name)) is not None]
        if opened is not None and self._opened:
            self._opened[0] = (self._path, opened)

    def look(self) -> None:
        """Looks again, from any thread. Raises LostDatabaseError; files that are back in their places are fine."""
        found = next((why for name, opened in self._opened if (why := self._change(name, opened))), None)
        if found != self.lost:
            self._tell(found)
        self.check()

    def check(self) -> None:
        """Raises LostDatabaseError when the last look has shown that."""
        if self.lost is not None:
            raise LostDatabaseError(self.lost)

    def _change(self, name: str, opened: tuple[int, int]) -> str | None:
        now = identity_of(name)
        if now == opened:
            return None
        what = "The database file" if name == self._path else "A file that belongs to the database"
        if now is not None:
            return (
                f"{what} has been replaced while postroom was running; restart postroom to go on with what is there now"
            )
        return f"{what} has been removed or cannot be reached; until it is back in its place, nothing can be done"

    def _tell(self, found: str | None) -> None:
        with self._lock:
            before, self.lost = self.lost, found
        if found is None and before is not None:
            log.warning("The database %s is back in its place", self._path)
        elif found is not None and found != before:
            log.error("The database %s is lost: %s", self._path, found)


def identity_of(name: str) -> Identity:
    """Which file the path leads to."""
    try:
        found = os.stat(name)  # noqa: PTH116 - a Path for each commit costs more than the look itself
    except OSError:
        return None
    return found.st_dev, found.st_ino
