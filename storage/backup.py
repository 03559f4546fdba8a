"""A complete copy of the database beside it, before its schema is changed."""

import contextlib
import filecmp
import logging
import os
import sqlite3
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from postroom.storage.migrations import MigrationError

log = logging.getLogger("postroom.storage")


def back_up(database: str, version: int) -> Path:
    """Writes `<database>.schema-<version>.backup`, readable by its owner alone; returns its path once it is on disk.

    Whoever calls holds the database's write lock, so the copy is what is about to be changed, and nobody else picks
    names meanwhile. An older copy is never overwritten; one with the very same content (the last attempt was cut off)
    is enough. MigrationError when it cannot be written.
    """
    # Beside the file itself, whatever links lead there: SQLite keeps its log there, too.
    path = Path(database).resolve()
    part = path.with_name(f"{path.name}.backup.part")
    try:
        with _removed_at_the_end(part):
            os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            _copy(path, part)
            _flush(part)
            copy = _settle(part, path.with_name(f"{path.name}.schema-{version}.backup"))
            _flush(path.parent)
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise MigrationError(f"no copy of it could be written, so it was left as it is: {reason}") from error
    log.info("%s is brought up to date; as it was (schema %d) it lies in %s", database, version, copy)
    return copy


@contextlib.contextmanager
def _removed_at_the_end(part: Path) -> Iterator[None]:
    # Also at the beginning: a process that was killed has left its own.
    part.unlink(missing_ok=True)
    try:
        yield
    finally:
        part.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(source, isolation_level=None)) as reading,
        contextlib.closing(sqlite3.connect(target, isolation_level=None)) as writing,
    ):
        # A copy that does not come to its end is thrown away: nothing to roll back.
        writing.execute("PRAGMA journal_mode = OFF").fetchall()
        # With what is still in the write-ahead log.
        reading.backup(writing)


def _settle(part: Path, wanted: Path) -> Path:
    for number in count(1):
        path = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        if not path.exists():
            return part.rename(path)
        if filecmp.cmp(part, path, shallow=False):
            return path
    raise AssertionError


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
