"""Puts a file in the place of the database, so that at each moment one of the two is there as a whole."""

import contextlib
import fcntl
import glob
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from typing import Final, Self

from postroom.storage.backups import settling
from postroom.storage.backups.settling import Known
from postroom.storage.claim import Claim
from postroom.storage.faults import DatabaseError, primary_code
from postroom.storage.files import flush
from postroom.storage.sqlite import BESIDE, sqlite3

#: How many bytes SQLite locks, and from which on (https://sqlite.org/lockingv3.html: PENDING, RESERVED, SHARED).
_LOCK_BYTES: Final = (512, 0x40000000)
_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class Present:
    """The database that is there now, if there is one. Nobody else can use it while it is `locked`."""

    def __init__(self, path: Path, known: Known | None) -> None:
        self._path = path
        self.exists = os.path.lexists(path)
        #: What is known of it; None when there is none, or it is damaged.
        self.known = known

    @classmethod
    @contextlib.contextmanager
    def locked(cls, path: Path) -> Iterator[Self]:
        """The database, with the lock that no connection of another process can live beside.

        DatabaseError while there is one, OSError.
        """
        claim = Claim(str(path), in_memory=False)
        try:
            if not path.exists():
                yield cls(path, None)
                return
            known = _put_in_one_file(path)
            with _lock(path):
                _forget_second_names(path)
                yield cls(path, known)
        finally:
            claim.release()

    def replace(self, new: Path) -> Path | None:
        """Puts the file in its place. Returns where the database from before is kept, None when there was none.

        OSError, DatabaseError; then the database is as it was.
        """
        if not self.exists:
            self._refuse_remains()
            try:
                # Unlike a rename, a link never replaces an existing file.
                os.link(new, self._path)
            except FileExistsError:
                raise DatabaseError(f"{self._path} has been made by somebody else meanwhile") from None
            flush(self._path.parent)
            return None
        kept = self._keep()
        flush(self._path.parent)
        new.replace(self._path)
        flush(self._path.parent)
        return kept

    def _refuse_remains(self) -> None:
        for each in BESIDE:
            if os.path.lexists(f"{self._path}{each}"):
                raise DatabaseError(f"{self._path}{each} is there without its database; put it elsewhere first")

    def _keep(self) -> Path:
        """A second name for the database, and for what it has beside it.

        A whole database is in one file by now. One that is damaged may have a log, which would spoil the new one.
        """
        kept = _free_name(self._path)
        os.link(self._path, kept)
        for each in BESIDE:
            remaining = Path(f"{self._path}{each}")
            if remaining.exists():
                os.link(remaining, f"{kept}{each}")
        flush(self._path.parent)
        for each in BESIDE:
            Path(f"{self._path}{each}").unlink(missing_ok=True)
        return kept


def _put_in_one_file(path: Path) -> Known | None:
    """Writes the log into the database; returns what is known of it, None when it is damaged.

    DatabaseError when it is in use.
    """
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode = DELETE").fetchall()
            return settling.look(connection)
        except sqlite3.Error as error:
            if primary_code(error) in _BUSY:
                raise _in_use(path) from None
            return None


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """The lock of SQLite itself, also for what is no database any more. Whoever has a connection has a share of it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, *_LOCK_BYTES)
        yield
    except BlockingIOError:
        raise _in_use(path) from None
    finally:
        os.close(descriptor)


def _in_use(path: Path) -> DatabaseError:
    return DatabaseError(f"Something is using the database {path}; stop the service first")


def _forget_second_names(path: Path) -> None:
    """Removes the names that a restore had given to the present database when it was killed."""
    for kept in path.parent.glob(f"{glob.escape(path.name)}.before-*"):
        if not kept.is_symlink() and kept.samefile(path) and not _has_more(kept, path):
            for each in ("", *BESIDE):
                Path(f"{kept}{each}").unlink(missing_ok=True)


def _has_more(kept: Path, path: Path) -> bool:
    """Whether something stands beside the one name that is no longer beside the other."""
    return any(Path(f"{kept}{each}").exists() and not Path(f"{path}{each}").exists() for each in BESIDE)


def _free_name(path: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    names = (path.with_name(f"{path.name}.before-{stamp}{more}") for more in chain([""], map("-{}".format, count(2))))
    return next(name for name in names if not os.path.lexists(name))
