"""The claim of one process on a database, where SQLite cannot be trusted with two.

A lock on a file of its own: closing any other descriptor of the database would drop the locks that SQLite has on it.
"""

import fcntl
import os

from postroom.storage import sqlite
from postroom.storage.faults import DatabaseError


class Claim:
    """Keeps other processes away from a database until `release()`; does nothing where SQLite has no such bug.

    Raises DatabaseError when another process has the claim, or the lock file cannot be written.
    """

    def __init__(self, path: str, *, in_memory: bool) -> None:
        self._descriptor: int | None = None
        if in_memory or not sqlite.has_wal_reset_bug(sqlite.VERSION):
            return
        try:
            self._descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DatabaseError(f"Cannot open the database {path}: its lock file: {error.strerror}") from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.release()
            raise DatabaseError(
                f"Another process uses the database {path}, and SQLite {sqlite.VERSION} can damage it when two do. "
                "Stop the other one, or install SQLite 3.51.3 or newer: pip install pysqlite3"
            ) from None

    def release(self) -> None:
        """Lets others use the database. Twice is fine."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
