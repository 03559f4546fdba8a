"""The backups in a folder: their names, which there are, and what a killed backup has left."""

import contextlib
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from postroom.storage.backups.manifest import (
    KEY,
    MANIFEST,
    DamagedBackupError,
    Manifest,
    beside,
    read_manifest,
)
from postroom.storage.urls import is_url, shown

_STAMP: Final = "%Y%m%dT%H%M%SZ"
_NAMED: Final = re.compile(r"(?P<stem>.+)-(?P<time>\d{8}T\d{6}Z)\.sqlite3")


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup in a folder. `fault` is what is wrong with it at first sight: nobody has read all of it."""

    path: Path
    manifest: Manifest | None
    fault: str = ""


def name_of(database: str) -> str:
    """What the manifest says of whose backup it is."""
    return shown(database) if is_url(database) else str(Path(database).resolve())


def stem_of(database: str) -> str:
    """What the names of a database's backups begin with."""
    name = urlsplit(shown(database)).path if is_url(database) else Path(database).name
    return re.sub(r"[^\w.-]", "_", Path(name).name.removesuffix(".sqlite3")) or "postroom"


def free_name(folder: Path, database: str) -> Path:
    """The name of a backup of this moment. Names differ by the second, so this may wait for the next one."""
    while True:
        path = folder / f"{stem_of(database)}-{datetime.now(UTC).strftime(_STAMP)}.sqlite3"
        if not path.exists() and not path.is_symlink():
            return path
        time.sleep(0.1)


def is_named_for(path: Path, database: str) -> bool:
    """Whether a backup has a name that free_name() gives to those of a database."""
    found = _NAMED.fullmatch(path.name)
    return found is not None and found["stem"] == stem_of(database)


def list_backups(folder: Path) -> list[Backup]:
    """Every backup in a folder by its name, the oldest first. OSError."""
    named = [(found["time"], path) for path in folder.iterdir() if (found := _NAMED.fullmatch(path.name))]
    return [_looked_at(path) for _, path in sorted(named) if path.is_file() and not path.is_symlink()]


def _looked_at(path: Path) -> Backup:
    try:
        manifest = read_manifest(path)
    except DamagedBackupError as error:
        return Backup(path, None, str(error))
    if manifest is None:
        return Backup(path, None, "its manifest is missing")
    if path.stat().st_size != manifest.size:
        return Backup(path, manifest, "it is cut off, or was changed")
    return Backup(path, manifest)


def newest(folder: Path, database: str) -> Manifest | None:
    """The manifest of a database's newest backup in a folder, None when there is none. OSError.

    One from the future is of a clock that was wrong, and does not count.
    """
    now = datetime.now(UTC)
    good = [found.manifest for found in own_backups(folder, database) if not found.fault and found.manifest]
    return next((manifest for manifest in reversed(good) if manifest.when <= now), None)


def own_backups(folder: Path, database: str) -> list[Backup]:
    """The backups of a database in a folder, the oldest first. OSError."""
    return [
        found
        for found in list_backups(folder)
        if found.manifest is not None and found.manifest.database == name_of(database)
    ]


def remove(backup: Path) -> None:
    """Removes a backup and what stands beside it. OSError."""
    # The file first: what stands beside it is no backup, and goes with the next one.
    for path in (backup, beside(backup, KEY), beside(backup, MANIFEST)):
        path.unlink(missing_ok=True)


def remove_leftovers(folder: Path, database: str) -> None:
    """Removes the manifests, and the copies of the key, of a database's backups that were never completed. OSError."""
    for path in folder.glob(f"*{MANIFEST}"):
        backup = path.with_name(path.name.removesuffix(MANIFEST))
        if not _NAMED.fullmatch(backup.name) or backup.exists():
            continue
        with contextlib.suppress(DamagedBackupError):
            manifest = read_manifest(backup)
            if manifest is not None and manifest.database == name_of(database):
                remove(backup)
