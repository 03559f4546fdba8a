"""Moves out of an SQLite file, and into a new one."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from postroom.storage.claim import Claim
from postroom.storage.connections import connect_plain, connect_writer, prepare_file, uri_of
from postroom.storage.faults import DatabaseError, IntegrityError, primary_code
from postroom.storage.files import flush
from postroom.storage.keyring import Keyring
from postroom.storage.migrations import WrongSchemaError, check_same, migrate
from postroom.storage.moving.stores import MoveError, Row, UnfitRowError
from postroom.storage.presence import identity_of
from postroom.storage.sqlite import BESIDE, sqlite3


class Source:
    """See `stores.Source`."""

    def __init__(self, connection: sqlite3.Connection, path: str) -> None:
        self.name = path
        self._connection = connection

    @property
    def identity(self) -> object:
        """The file."""
        return identity_of(self.name)

    def columns(self, table: str) -> list[str]:
        """The columns of a table."""
        return [name for (name,) in self._fetch("SELECT name FROM pragma_table_info(?)", table)]

    def batches(self, sql: str, size: int) -> Iterator[Sequence[Row]]:
        """The rows of a statement."""
        with _told(self.name):
            cursor = self._connection.execute(sql)
            while rows := cursor.fetchmany(size):
                yield rows

    def last_id(self, table: str) -> int:
        """The largest ID."""
        return sum(seq for (seq,) in self._fetch("SELECT seq FROM sqlite_sequence WHERE name = ?", table))

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """`function(connection, *args)`."""
        with _told(self.name):
            return function(self._connection, *args)

    def _fetch(self, sql: str, *values: object) -> list[Any]:
        with _told(self.name):
            return self._connection.execute(sql, values).fetchall()


class Target(Source):
    """See `stores.Target`. It is written under another name, which becomes the right one when it is complete."""

    def __init__(self, connection: sqlite3.Connection, path: str, part: Path) -> None:
        super().__init__(connection, path)
        self._part = part
        self._triggers: list[tuple[str, str]] = []

    def begin(self) -> None:
        """Makes the schema."""
        for each in ("", *BESIDE):
            if os.path.lexists(self.name + each):
                raise MoveError(f"There is a file {self.name}{each} already; the target must not exist")
        with _told(self.name):
            # Nothing has to survive a crash before it has its name.
            for pragma in ("journal_mode = MEMORY", "synchronous = OFF", "cache_size = -65536"):
                self._connection.execute(f"PRAGMA {pragma}").fetchall()
            migrate(self._connection, lambda _version: None)
            self._connection.execute("PRAGMA foreign_keys = OFF").fetchall()
            self._connection.execute("BEGIN IMMEDIATE")
            self._triggers = self._fetch("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
            for name, _ in self._triggers:
                self._connection.execute(f"DROP TRIGGER {name}")
            self._connection.execute("DELETE FROM auth_generation")

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Stores rows."""
        marks = [f"?{number}" for number in range(1, len(columns) + 1)]
        if table == "properties":
            # Numbers are stored as numbers.
            value, number = columns.index("value"), columns.index("number")
            marks[value] = f"coalesce({marks[number]}, {marks[value]})"
        places = count()
        with _told(self.name):
            try:
                self._connection.executemany(
                    f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(marks)})",
                    (row for row, _ in zip(rows, places, strict=False)),
                )
            except IntegrityError as error:
                # The last one that was taken.
                raise UnfitRowError(rows[next(places) - 1], str(error)) from None

    def complete(self, last_ids: dict[str, int]) -> None:
        """Makes it whole."""
        with _told(self.name):
            broken = self._fetch("PRAGMA foreign_key_check")
            if broken:
                raise MoveError(
                    f"Cannot store a row of {broken[0][0]}: it refers to a row of {broken[0][2]} that is not there"
                )
            for table, last in last_ids.items():
                self._connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
                if last:
                    self._connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, last))
            for _, sql in self._triggers:
                self._connection.execute(sql)

    def commit(self) -> None:
        """Gives the file its name."""
        with _told(self.name):
            self._connection.execute("COMMIT")
            self._connection.execute("PRAGMA journal_mode = WAL").fetchall()
            self._connection.close()
        try:
            flush(self._part)
            # Unlike a rename, a link never replaces an existing file.
            os.link(self._part, self.name)
            flush(self._part.parent)
        except FileExistsError:
            raise MoveError(f"{self.name} has been made by somebody else meanwhile") from None
        except OSError as error:
            raise DatabaseError(f"Cannot write {self.name}: {error.strerror}") from None


@contextlib.contextmanager
def open_source(name: str, keyring: Keyring) -> Iterator[Source]:
    """The file, with its write lock: other processes may go on reading."""
    prepare_file(name, create=False)
    claim = Claim(name, in_memory=False)
    try:
        with _told(name):
            connection = connect_writer(uri_of(name), name, keyring, create=False, unlock=False)
        with contextlib.closing(connection):
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                raise DatabaseError(f"{name} cannot be locked, a service may be writing to it: {error}") from None
            with _told(name):
                # Again: a newer service may have changed it meanwhile.
                check_same(connection)
            connection.execute("PRAGMA query_only = ON").fetchall()
            yield Source(connection, name)
    finally:
        claim.release()


@contextlib.contextmanager
def open_target(name: str) -> Iterator[Target]:
    """The file that is to be made."""
    path = Path(os.path.abspath(name))  # noqa: PTH100 - a link stays one
    part = path.with_name(f"{path.name}.part")
    with _created(part), contextlib.closing(connect_plain(uri_of(str(part)), Keyring(None))) as connection:
        yield Target(connection, str(path), part)


@contextlib.contextmanager
def _created(part: Path) -> Iterator[None]:
    """Creates a file for its owner alone, and removes it at the end. Refused while another move has it."""
    try:
        with _locked(part, os.O_CREAT):
            # One that was killed has left it.
            _remove(part)
        with _locked(part, os.O_CREAT | os.O_EXCL) as descriptor:
            if os.geteuid() == 0:
                # A command that root runs must not lock out the service.
                owner = part.parent.stat()
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            try:
                yield
            finally:
                _remove(part)
    except (BlockingIOError, FileExistsError):
        raise DatabaseError(f"Another move is writing {part}") from None
    except OSError as error:
        raise DatabaseError(f"Cannot write {part}: {error.strerror}") from None


@contextlib.contextmanager
def _locked(part: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(part, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    finally:
        os.close(descriptor)


def _remove(part: Path) -> None:
    for each in ("", *BESIDE):
        part.with_name(part.name + each).unlink(missing_ok=True)


@contextlib.contextmanager
def _told(path: str) -> Iterator[None]:
    """Names the file in failures of SQLite."""
    try:
        yield
    except WrongSchemaError as error:
        raise MoveError(f"Cannot open the database {path}: {error}") from None
    except IntegrityError:
        raise
    except sqlite3.Error as error:
        if primary_code(error) is None:
            raise
        raise DatabaseError(f"The database {path} failed: {error}") from error
