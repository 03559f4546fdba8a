"""Copies an SQLite file while others write to it, and reads files, without being in their way.

SQLite's backup begins anew whenever another connection has written; a read transaction that is open all the time keeps
it at one moment. Meanwhile the write-ahead log cannot be emptied, so the copy must not take long either.
"""

import contextlib
import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from postroom.storage.connections import connect_reader, uri_of
from postroom.storage.files import flush
from postroom.storage.keyring import Keyring
from postroom.storage.migrations import WrongSchemaError, version_of
from postroom.storage.progress import Report
from postroom.storage.sqlite import sqlite3

#: Pages that are copied, and bytes that are read, at a time: both take a few milliseconds.
_PAGES: Final = 256
_PIECE: Final = 1024 * 1024
#: Written to the disk at a time: much at once would hold up the commits of others.
_FLUSHED: Final = 4
#: Each piece is followed by a pause of this share of its own time: longer ones only let the log grow.
_PAUSE: Final = 0.25
#: A pause is at most so many seconds.
_LONGEST_PAUSE: Final = 0.1
#: Seconds for which an examination goes last: that of a million users takes three minutes.
_LONGEST_IDLE: Final = 900.0


class Pauses:
    """Makes pauses between pieces of work."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def pause(self) -> None:
        """After a piece."""
        time.sleep(min(_LONGEST_PAUSE, _PAUSE * (time.monotonic() - self._began)))
        self._began = time.monotonic()


def be_modest() -> None:
    """Lets all others go first where there is not enough of the processor. For this thread, for good."""
    thread = threading.get_native_id()
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, thread, max(10, os.getpriority(os.PRIO_PROCESS, thread)))


def go_last(seconds: float = _LONGEST_IDLE) -> None:
    """Lets all others go first, whatever they want: only what they leave of the processor is used.

    For the first seconds: where nothing is ever left, reading would otherwise go on for ever, and the log grow with it.
    Never with a lock that others wait for. For this thread, and those that it starts.
    """
    be_modest()
    if sys.platform != "linux":
        return
    thread = threading.get_native_id()

    def have(policy: int) -> None:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(thread, policy, os.sched_param(0))

    have(os.SCHED_IDLE)
    timer = threading.Timer(seconds, have, [os.SCHED_OTHER])
    timer.daemon = True
    timer.start()


def copy(source: Path, target: Path, report: Report) -> None:
    """Copies a database as it is at one moment into an empty file. Raises WrongSchemaError, sqlite3.Error, OSError."""
    with contextlib.closing(connect_reader(uri_of(str(source)), Keyring(None))) as reading:
        reading.execute("BEGIN")
        if version_of(reading) == 0:
            raise WrongSchemaError("there is nothing in it")
        with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as writing:
            # An incomplete copy is deleted, so no rollback is needed, and it is flushed piece by piece.
            for pragma in ("journal_mode = OFF", "synchronous = OFF"):
                writing.execute(f"PRAGMA {pragma}").fetchall()
            reading.backup(writing, pages=_PAGES, progress=_progress(target, report))
            # In one file, which can be read where nothing can be written.
            writing.execute("PRAGMA journal_mode = DELETE").fetchall()
        reading.execute("COMMIT")
        # What has piled up in the log meanwhile would be the work of whoever commits next.
        with contextlib.suppress(sqlite3.Error):
            reading.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _progress(target: Path, report: Report) -> Callable[[int, int, int], None]:
    pauses, pieces = Pauses(), 0

    def progress(_status: int, remaining: int, total: int) -> None:
        nonlocal pieces
        pieces += 1
        if pieces % _FLUSHED == 0:
            flush(target)
        report("copying", total - remaining, total)
        pauses.pause()

    return progress


def checksum(path: Path, report: Report) -> tuple[int, str]:
    """The size and the SHA-256 of a file. OSError."""
    digest, done = hashlib.sha256(), 0
    pauses = Pauses()
    with path.open("rb") as file:
        total = os.fstat(file.fileno()).st_size
        while piece := file.read(_PIECE):
            digest.update(piece)
            done += len(piece)
            report("checksum", done, total)
            pauses.pause()
    return done, digest.hexdigest()
