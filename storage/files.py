"""Writes small secret files beside the database: atomically, and readable only by their owner."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def write_private(path: Path, content: bytes, *, owner_of: Path, replace: bool) -> None:
    """Writes a file that only its owner may use. OSError, without `replace` also when the file exists.

    Root gives the file to the owner of `owner_of`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with removed_at_the_end(part):
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if owner_of.exists():
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
        os.chown(made, owner.st_uid, owner.st_gid)


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
