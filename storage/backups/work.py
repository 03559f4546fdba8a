"""A folder for what is not complete yet: of its owner alone, locked, and removed at the end."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from postroom.storage.backups.manifest import BackupError
from postroom.storage.faults import DatabaseError


class BusyError(DatabaseError):
    """Another process is doing the same."""


@contextlib.contextmanager
def work_folder(path: Path, busy: str) -> Iterator[Path]:
    """The folder, empty. BusyError with the text `busy` while another process has it, OSError.

    What a killed process has left there is removed.
    """
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _lock(path, descriptor, busy)
        _empty(path)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(descriptor)


def _lock(path: Path, descriptor: int, busy: str) -> None:
    opened = os.fstat(descriptor)
    if opened.st_uid != os.geteuid():
        raise BackupError(f"{path} belongs to somebody else; remove it")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        now = path.lstat()
    except (BlockingIOError, FileNotFoundError):
        raise BusyError(busy) from None
    # The process that had it may have removed it meanwhile, and a third one may have made it anew.
    if (now.st_dev, now.st_ino) != (opened.st_dev, opened.st_ino):
        raise BusyError(busy)


def _empty(path: Path) -> None:
    path.chmod(0o700)
    for entry in path.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
