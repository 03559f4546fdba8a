"""Looks whether a backup can be restored, by restoring it into a scratch file."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from postroom.storage.backups import checking
from postroom.storage.backups.manifest import KEY, DamagedBackupError, Manifest, beside
from postroom.storage.backups.work import work_folder
from postroom.storage.checks.examine import examine
from postroom.storage.checks.findings import Finding, State
from postroom.storage.checks.secrets import GROUP as SECRETS
from postroom.storage.faults import DatabaseError
from postroom.storage.progress import Report
from postroom.storage.sqlite import sqlite3

#: The check of the engine, which says nothing of a backup.
_ENGINE: Final = "engine"


@dataclass(frozen=True, slots=True)
class Verified:
    """A backup that can be restored. `locked`: why its secrets cannot be read with the present keys; "" if they can."""

    manifest: Manifest
    locked: str = ""


def verify(backup: Path, key_file: str, report: Report) -> Verified:
    """Restores a backup into a scratch file, and examines that like `postroom doctor`.

    Raises BackupError, DamagedBackupError when anything but the key file is wrong, DatabaseError.
    """
    try:
        with _scratch(backup) as folder:
            return _verify(backup, folder / "copy", key_file, report)
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror or error if isinstance(error, OSError) else error
        raise DatabaseError(f"{backup} cannot be verified: {reason}") from error


def _verify(backup: Path, copy: Path, key_file: str, report: Report) -> Verified:
    manifest = checking.fetch(backup, copy, report)
    with checking.opened(copy, backup) as connection:
        identity = checking.identify(connection, backup)
    if manifest is None or identity != (manifest.schema, manifest.users):
        raise DamagedBackupError(f"{backup} is not what its manifest says")
    own = beside(backup, KEY)
    findings = examine(str(copy), str(own) if own.exists() else key_file, report)
    wrong = [found for found in findings if found.state is State.WRONG and found.name != _ENGINE]
    faults = [found for found in wrong if found.group != SECRETS]
    if faults:
        raise DamagedBackupError(f"{backup} is damaged: {'; '.join(map(_told, faults))}")
    return Verified(manifest, "; ".join(_told(found) for found in wrong))


def _told(finding: Finding) -> str:
    return ": ".join([finding.message, *finding.examples[:1]])


@contextlib.contextmanager
def _scratch(backup: Path) -> Iterator[Path]:
    """A folder beside the backup, where there is room for it; elsewhere when nothing can be written there."""
    if os.access(backup.parent, os.W_OK):
        with work_folder(backup.with_name(f"{backup.name}.verify.part"), f"{backup} is being verified already") as work:
            yield work
    else:
        with tempfile.TemporaryDirectory(prefix="postroom-") as work:
            yield Path(work)
