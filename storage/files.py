"""Small files beside the database that hold a secret: written to the disk as a whole, readable by their owner alone."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def write_private(path: Path, content: bytes, *, owner_of: Path, replace: bool) -> None:
    """Writes a file that only its owner may use. OSError, which without `replace` also says that there is one.

    Written by root, it is left to the owner of another file: a command must not take a service's file away from it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with removed_at_the_end(part):
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if os.geteuid() == 0 and owner_of.exists():
                owner = owner_of.stat()
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        # Unlike a rename, a link never takes the place of something.
        (os.replace if replace else os.link)(part, path)
    flush(path.parent)


@contextlib.contextmanager
def removed_at_the_end(part: Path) -> Iterator[None]:
    """A file that is there for as long as the block runs."""
    # Also at the beginning: a process that was killed has left its own.
    part.unlink(missing_ok=True)
    try:
        yield
    finally:
        part.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Sees to it that a file, or what was made, renamed or removed in a folder, is on the disk. OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
