"""Writes small secret files beside the database: atomically, and readable only by their owner."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

#: The rights of everybody but the owner.
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def write_private(path: Path, content: bytes, *, owner_of: Path, replace: bool, readers: int | None = None) -> None:
    """Writes a file that only its owner may use. OSError, without `replace` also when the file exists.

    Root gives the file to the owner of `owner_of`, or with `readers` keeps it, and lets this group read it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with removed_at_the_end(part):
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if readers is not None:
                os.fchown(descriptor, 0, readers)
                os.fchmod(descriptor, 0o640)
            elif owner_of.exists():
                give_to_owner_of(owner_of, descriptor)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        # Unlike a rename, a link never replaces an existing file.
        (os.replace if replace else os.link)(part, path)
    flush(path.parent)


def give_to_owner_of(example: Path, made: Path | int) -> None:
    """What root makes belongs to the owner of another file or folder: a command of root must not lock out the service.

    Takes a path or a descriptor. OSError.
    """
    if os.geteuid() == 0:
        owner = example.stat()
        if isinstance(made, int):
            os.fchown(made, owner.st_uid, owner.st_gid)
        else:
            # A link may have taken the place of what was made, if others may write in that folder.
            os.lchown(made, owner.st_uid, owner.st_gid)


def close_to_others(path: Path) -> None:
    """Takes the rights of others to a regular file away; a link is not followed, and stays as it is. OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return
        raise
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode):
            os.fchmod(descriptor, stat.S_IMODE(mode) & ~OTHERS)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def removed_at_the_end(part: Path) -> Iterator[None]:
    """Removes a temporary file at the end of the block."""
    # Also at the beginning: a killed process may have left one.
    part.unlink(missing_ok=True)
    try:
        yield
    finally:
        part.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Flushes a file, or the entries of a folder, to disk. OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
