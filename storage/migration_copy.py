"""Makes a complete copy of the database beside it, before its schema is changed."""

import contextlib
import filecmp
import glob
import logging
import os
import re
from itertools import count
from pathlib import Path

from postroom.storage.files import flush, give_to_owner_of, removed_at_the_end
from postroom.storage.migrations import MigrationError
from postroom.storage.sqlite import sqlite3

#: Secrets are encrypted from this schema on.
SEALED_SINCE = 7

log = logging.getLogger("postroom.storage")


def copy_before_migration(database: str, version: int) -> Path:
    """Writes `<database>.schema-<version>.backup`, readable only by its owner; returns its path once it is on disk.

    The caller has to hold the database's write lock. So the copy has exactly the state before the change, and no other
    process picks the same name. An older copy is never overwritten, but reused if its content is identical (after an
    interrupted attempt). MigrationError when the copy cannot be written.
    """
    # Beside the real file, not beside a link to it: SQLite keeps its log there, too.
    path = Path(database).resolve()
    part = path.with_name(f"{path.name}.backup.part")
    try:
        with removed_at_the_end(part):
            _make(part, owner_of=path)
            _copy(path, part)
            flush(part)
            copy = _settle(part, path.with_name(f"{path.name}.schema-{version}.backup"))
            flush(path.parent)
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise MigrationError(f"no copy of it could be written, so it was left as it is: {reason}") from error
    log.info("Upgrading %s; a copy with the old schema %d is in %s", database, version, copy)
    return copy


def _make(part: Path, *, owner_of: Path) -> None:
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        give_to_owner_of(owner_of, descriptor)
    finally:
        os.close(descriptor)


def _copy(source: Path, target: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(source, isolation_level=None)) as reading,
        contextlib.closing(sqlite3.connect(target, isolation_level=None)) as writing,
    ):
        # An incomplete copy is deleted, so no rollback is needed.
        writing.execute("PRAGMA journal_mode = OFF").fetchall()
        # This includes what is still in the write-ahead log.
        reading.backup(writing)


def _settle(part: Path, wanted: Path) -> Path:
    for number in count(1):
        path = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        if not path.exists():
            return part.rename(path)
        if filecmp.cmp(part, path, shallow=False):
            return path
    raise AssertionError


def plain_text_copies(database: str) -> list[Path]:
    """The copies beside the database that were made when secrets were still stored in plain text."""
    path = Path(database).resolve()
    found = path.parent.glob(f"{glob.escape(path.name)}.schema-*.backup*")
    numbered = ((copy, re.match(r"(\d+)\.backup", copy.name.removeprefix(f"{path.name}.schema-"))) for copy in found)
    return sorted(copy for copy, number in numbered if number and int(number[1]) < SEALED_SINCE)
