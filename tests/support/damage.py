"""Faulty disks and damaged files."""

import resource
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from postroom.storage.sqlite import sqlite3


@contextmanager
def limited_files(size: int) -> Iterator[None]:
    """No file that this process writes may become larger: a write beyond that fails with EFBIG, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def damage(path: Path, table: str) -> None:
    """Overwrites the first page of a table in a database that nobody has open."""
    with closing(sqlite3.connect(path)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
