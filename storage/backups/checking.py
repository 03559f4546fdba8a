"""Looks whether a file is a whole and usable backup, before anything is done with it."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from postroom.storage.backups.manifest import BackupError, DamagedBackupError, Manifest, read_manifest
from postroom.storage.connections import connect_plain, uri_of
from postroom.storage.faults import is_unavailable, primary_code
from postroom.storage.keyring import Keyring
from postroom.storage.migrations import WrongSchemaError, version_of
from postroom.storage.progress import Report
from postroom.storage.sqlite import sqlite3

_PIECE: Final = 1024 * 1024
#: The first bytes of every SQLite file.
_MAGIC: Final = b"SQLite format 3\0"
#: Tables that every version of postroom has, which no other program has together.
_OURS: Final = ("auth_generation", "domains", "role_permissions", "settings", "users")
#: What SQLite says of a damaged file.
_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
#: Steps of SQLite between two reports.
_STEPS: Final = 1_000_000


def fetch(backup: Path, scratch: Path, report: Report, *, checked: bool = True) -> Manifest | None:
    """Copies a backup and compares it with its manifest, which it has to have if it is to be `checked`.

    Raises BackupError, DamagedBackupError, OSError.
    """
    if not backup.is_file():
        raise BackupError(f"There is no backup {backup}")
    manifest = read_manifest(backup)
    if manifest is None and checked:
        raise BackupError(
            f"{backup} has no manifest ({backup.name}.json), so nobody can tell whether all of it is right"
        )
    size, digest = _copy(backup, scratch, report)
    if manifest is not None and (size, digest) != (manifest.size, manifest.sha256):
        reason = "is cut off" if size < manifest.size else "was changed or damaged after it was made"
        raise DamagedBackupError(f"{backup} {reason}: it does not have the checksum of its manifest")
    return manifest


def _copy(source: Path, target: Path, report: Report) -> tuple[int, str]:
    digest, done = hashlib.sha256(), 0
    with source.open("rb") as reading, target.open("xb") as writing:
        os.fchmod(writing.fileno(), 0o600)
        total = os.fstat(reading.fileno()).st_size
        while piece := reading.read(_PIECE):
            digest.update(piece)
            done += writing.write(piece)
            report("reading", done, total)
        writing.flush()
        os.fsync(writing.fileno())
    return done, digest.hexdigest()


@contextlib.contextmanager
def opened(file: Path, name: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a copy of a backup. DamagedBackupError, which names the backup, for what is wrong with it.

    Raises sqlite3.Error for what is wrong with the disk.
    """
    with file.open("rb") as reading:
        if reading.read(len(_MAGIC)) != _MAGIC:
            raise DamagedBackupError(f"{name} is no backup: it is not an SQLite file")
    try:
        with contextlib.closing(connect_plain(uri_of(str(file)), Keyring(None))) as connection:
            yield connection
    except WrongSchemaError as error:
        raise BackupError(f"{name} cannot be used: {error}") from None
    except sqlite3.Error as error:
        if is_unavailable(error) and primary_code(error) not in _DAMAGE:
            raise
        raise DamagedBackupError(f"{name} is damaged: {error}") from None


def identify(connection: sqlite3.Connection, name: Path) -> tuple[int, int]:
    """The version of the schema, and the number of users.

    Raises BackupError (WrongSchemaError: of a newer version, or of something else).
    """
    schema = version_of(connection)
    marks = ", ".join("?" * len(_OURS))
    (found,) = connection.execute(
        f"SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ({marks})", _OURS
    ).fetchone()
    if found != len(_OURS):
        raise BackupError(f"{name} cannot be used: it is a database of something else")
    (users,) = connection.execute("SELECT count(*) FROM users WHERE domain_id IS NOT NULL").fetchone()
    return schema, users


def check(connection: sqlite3.Connection, name: Path, report: Report) -> None:
    """Looks whether it is whole. DamagedBackupError."""
    with _reported(connection, report):
        faults = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
        if faults != ["ok"]:
            raise DamagedBackupError(f"{name} is damaged: {'; '.join(faults)}")
        broken = connection.execute("PRAGMA foreign_key_check").fetchone()
        if broken is not None:
            raise DamagedBackupError(f"{name} is damaged: a row of {broken[0]} refers to a {broken[2]} that is missing")


@contextlib.contextmanager
def _reported(connection: sqlite3.Connection, report: Report) -> Iterator[None]:
    def tell() -> int:
        report("checking", 0, 0)
        return 0

    connection.set_progress_handler(tell, _STEPS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)
