"""Looks whether a backup can be restored, by restoring it into a scratch file."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from postroom.storage.backups import checking
from postroom.storage.backups.copying import Report
from postroom.storage.backups.manifest import DamagedBackupError, Manifest
from postroom.storage.backups.work import work_folder
from postroom.storage.faults import DatabaseError
from postroom.storage.sqlite import sqlite3


def verify(backup: Path, report: Report) -> Manifest:
    """Returns the manifest of a backup that can be restored. BackupError, DamagedBackupError, DatabaseError."""
    try:
        with _scratch(backup) as folder:
            return _verify(backup, folder / "copy", report)
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror or error if isinstance(error, OSError) else error
        raise DatabaseError(f"{backup} cannot be verified: {reason}") from error


def _verify(backup: Path, copy: Path, report: Report) -> Manifest:
    manifest = checking.fetch(backup, copy, report)
    with checking.opened(copy, backup) as connection:
        schema = checking.check(connection, backup, report)
        (users,) = connection.execute("SELECT count(*) FROM users WHERE domain_id IS NOT NULL").fetchone()
    if manifest is None or (schema, users) != (manifest.schema, manifest.users):
        raise DamagedBackupError(f"{backup} is not what its manifest says")
    return manifest


@contextlib.contextmanager
def _scratch(backup: Path) -> Iterator[Path]:
    """A folder beside the backup, where there is room for it; elsewhere when nothing can be written there."""
    if os.access(backup.parent, os.W_OK):
        with work_folder(backup.with_name(f"{backup.name}.verify.part"), f"{backup} is being verified already") as work:
            yield work
    else:
        with tempfile.TemporaryDirectory(prefix="postroom-") as work:
            yield Path(work)
