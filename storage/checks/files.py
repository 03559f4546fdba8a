"""Checks of the files of an SQLite database, and of the key file: who may use them, and where they are."""

import glob
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from postroom.storage.checks.findings import Check, State
from postroom.storage.files import OTHERS, close_to_others
from postroom.storage.migration_copy import plain_text_copies
from postroom.storage.urls import is_url

_GROUP: Final = "Files"

#: What stands beside a database that is in use.
_PARTS: Final = ("-wal", "-shm", "-journal", ".lock")
#: File systems of other machines, where the locks and the shared memory of SQLite's log do not work.
_NETWORK: Final = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "ncpfs",
        "afs",
        "9p",
        "ceph",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.cephfs",
    }
)
#: File systems in memory, which are empty after a restart of the machine.
_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a database: its own, unless it is on a server, and its key file."""

    database: str
    key_file: str
    #: Lists the mounted file systems: (folder, type).
    mounts: Callable[[], Sequence[tuple[str, str]]]

    @property
    def path(self) -> Path | None:
        """The database itself, not a link to it; None for one on a server."""
        return None if is_url(self.database) else Path(self.database).resolve()

    def private(self) -> list[Path]:
        """What only its owner should be able to use: everything that holds a part of the database, and the keys."""
        found = [Path(self.key_file)]
        if self.path is not None:
            beside = [self.path.with_name(self.path.name + part) for part in _PARTS]
            found += [self.path, *beside, *_copies(self.path)]
        return [path for path in found if path.exists()]


def _copies(path: Path) -> list[Path]:
    """The copies that were made before migrations."""
    return sorted(path.parent.glob(f"{glob.escape(path.name)}.schema-*.backup*"))


def _find_open_files(files: Files) -> Iterator[str]:
    for path in files.private():
        mode = path.stat().st_mode
        if mode & OTHERS:
            yield f"{path} (mode {stat.S_IMODE(mode):04o})"


def _close_files(files: Files) -> None:
    for path in files.private():
        close_to_others(path)


def _find_foreign_files(files: Files) -> Iterator[str]:
    if files.path is not None and files.path.exists():
        owner = files.path.stat().st_uid
        for path in files.private():
            if path != Path(files.key_file) and path.stat().st_uid != owner:
                yield f"{path} belongs to user {path.stat().st_uid}, the database to {owner}"


def _find_open_folders(files: Files) -> Iterator[str]:
    folders = {path.absolute().parent for path in (files.path, Path(files.key_file)) if path is not None}
    for folder in sorted(folders):
        mode = folder.stat().st_mode
        # Of a folder with the sticky bit, others cannot replace files that are not theirs.
        if mode & (stat.S_IWGRP | stat.S_IWOTH) and not mode & stat.S_ISVTX:
            yield f"{folder} (mode {stat.S_IMODE(mode):04o})"


def _find_plain_copies(files: Files) -> Iterator[str]:
    if files.path is not None:
        yield from map(str, plain_text_copies(files.database))


def _find_leftovers(files: Files) -> Iterator[str]:
    if files.path is not None:
        yield from (str(path) for path in sorted(files.path.parent.glob(f"{glob.escape(files.path.name)}*.part*")))


def _find_unfit_file_systems(files: Files) -> Iterator[str]:
    kind = _file_system(files)
    if kind in _NETWORK:
        yield f"{files.path} is on {kind}"


def _find_memory(files: Files) -> Iterator[str]:
    kind = _file_system(files)
    if kind in _IN_MEMORY:
        yield f"{files.path} is on {kind}"


def _file_system(files: Files) -> str | None:
    """The type of the file system that the database is on; None for one on a server."""
    if files.path is None:
        return None
    # Of several mounts in one place, the last one counts.
    holding = [
        (len(folder), number, kind)
        for number, (folder, kind) in enumerate(files.mounts())
        if files.path.is_relative_to(folder)
    ]
    return max(holding)[2] if holding else None


CHECKS: Final = (
    Check(
        _GROUP,
        "modes",
        promise="Only their owner can use the database and the keys",
        fault="files that others can use",
        find=_find_open_files,
        advice="--repair takes the rights of all but the owner away",
        repair=_close_files,
    ),
    Check(
        _GROUP,
        "owners",
        promise="Everything beside the database belongs to its owner",
        fault="files of another owner, which may lock out the service",
        find=_find_foreign_files,
        advice="Give them to the owner of the database (chown), who should be the user that runs the service",
        state=State.WARNING,
    ),
    Check(
        _GROUP,
        "folders",
        promise="Only their owner can replace the database and the keys",
        fault="folders that others can write to",
        find=_find_open_folders,
        advice="Take the right to write away from others (chmod go-w): they could put another database in its place",
        state=State.WARNING,
    ),
    Check(
        _GROUP,
        "plain copies",
        promise="No copy of the database holds secrets in plain text",
        fault="copies with secrets in plain text",
        find=_find_plain_copies,
        advice="Delete them when there is no need to go back to that version",
        state=State.WARNING,
    ),
    Check(
        _GROUP,
        "unfinished files",
        promise="Nothing that was interrupted has left a file",
        fault="files that an interrupted command has left",
        find=_find_leftovers,
        advice="Delete them when no such command runs; the same command, run again, does so as well",
        state=State.WARNING,
    ),
    Check(
        _GROUP,
        "file system",
        promise="The database is on a disk of this machine",
        fault="databases on a file system of another machine",
        find=_find_unfit_file_systems,
        advice="Move it to a local disk (postroom move): where it is, several processes can damage it. For more than "
        "one machine, use PostgreSQL",
    ),
    Check(
        _GROUP,
        "memory",
        promise="The database outlives a restart of the machine",
        fault="databases in memory",
        find=_find_memory,
        advice="Move it to a disk (postroom move), unless it may be lost",
        state=State.WARNING,
    ),
)
