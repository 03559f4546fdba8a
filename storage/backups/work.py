"""A folder for what is not complete yet: of its owner alone, locked, and removed at the end."""

import contextlib
import fcntl
import os
import shutil
import stat
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
        _empty(descriptor)
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


def _empty(descriptor: int) -> None:
    # By the descriptor: whoever may write beside the folder could put a link to another one in its place.
    os.fchmod(descriptor, 0o700)
    for name in os.listdir(descriptor):
        if stat.S_ISDIR(os.lstat(name, dir_fd=descriptor).st_mode):
            shutil.rmtree(name, dir_fd=descriptor)
        else:
            os.unlink(name, dir_fd=descriptor)
