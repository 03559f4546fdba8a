"""Opening, reading and writing the SQLite file; the only module that knows aiosqlite.

Reads go to query-only connections, one statement each; those by key that come at the same time share a thread hop.
Writes are plain functions that get the one writing connection; those that wait at the same time share one commit, each
in a savepoint of its own, and each caller is answered only after that commit is on disk.

A write runs from beginning to end on the writer's thread, so a cancelled caller cannot leave half of it behind:
either it has not begun, and then it never does, or it is committed as a whole.
"""

import asyncio
import contextlib
import logging
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar, TypeVarTuple

import aiosqlite

from postroom.storage import sealed
from postroom.storage.backup import back_up, plain_text_copies
from postroom.storage.keyring import KeyFileError, Keyring
from postroom.storage.migrations import WrongSchemaError, check_current, migrate, version_of
from postroom.storage.text import fold

log = logging.getLogger("postroom.storage")

Ts = TypeVarTuple("Ts")
T = TypeVar("T")

#: Most write transactions that share one commit. Beyond this the gain in fsyncs is gone and only the wait grows.
BATCH = 256
READERS = 4
BUSY_TIMEOUT = 5.0  # seconds to wait for a lock that another process holds


class Guard(Protocol):
    """Stands before every write that is asked for in a context: see GUARD."""

    def __call__(self, connection: sqlite3.Connection) -> None:
        """Called inside the write's transaction, before its function. What it raises is the outcome of the write."""

    def of_task(self) -> "Guard":
        """The guard of work that goes on when what has started it has ended."""


#: Of whoever writes: a request's caller, or (None) somebody who needs to be asked for nothing.
GUARD: ContextVar[Guard | None] = ContextVar("GUARD", default=None)


class DatabaseError(Exception):
    """The database cannot be opened or a commit failed; the text is fit for a person at the command line."""


class NoDatabaseError(DatabaseError):
    """There is no such file, and it was not to be made."""


class WrongDatabaseError(DatabaseError):
    """The file is of another version, of something else, or without its key file: trying again does not help."""


class TransactionError(Exception):
    """A transaction could not begin or end for a reason that is a fault of postroom; `__cause__` has it."""


#: Primary result codes of SQLite for what lies outside of the statement: the file, the disk, or who else uses it.
_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOLFS,
        sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB,
    }
)  # fmt: skip


def is_unavailable(error: BaseException) -> bool:
    """Whether the database cannot be used at the moment. Any other failure of SQLite is a fault of postroom itself.

    The class does not tell: a lock and a table that does not exist are both an OperationalError.
    """
    if isinstance(error, (DatabaseError, KeyFileError)):
        return True
    # An extended code (SQLITE_IOERR_WRITE) has the primary one in its lowest byte. Errors that the module sqlite3
    # raises by itself, such as for a wrong number of parameters, have none.
    code = getattr(error, "sqlite_errorcode", None) if isinstance(error, sqlite3.Error) else None
    return code is not None and code & 0xFF in _UNAVAILABLE


@contextlib.contextmanager
def savepoint(connection: sqlite3.Connection) -> Iterator[None]:
    """Undoes what is done inside when that raises; the rest of the transaction goes on."""
    connection.execute("SAVEPOINT part")
    try:
        yield
    except BaseException:
        # After a full disk or an I/O error SQLite has rolled back all by itself; the reason must not get lost over it.
        if connection.in_transaction:
            connection.execute("ROLLBACK TO part")
            connection.execute("RELEASE part")
        raise
    connection.execute("RELEASE part")


class _Connection(aiosqlite.Connection):
    """An aiosqlite connection that also runs a whole function on its thread."""

    pending = 0

    async def run(self, function: Callable[[sqlite3.Connection, *Ts], T], *args: *Ts) -> T:
        """`function(connection, *args)` in one hop."""
        result: T = await self._execute(function, self._conn, *args)  # type: ignore[no-untyped-call]
        return result

    async def fetch(self, sql: str, params: Sequence[object]) -> list[Any]:
        """All rows of one statement, in one hop."""
        self.pending += 1
        try:
            # The same as execute_fetchall without its wrapper object, which costs 5 % of a single read.
            rows: list[Any] = await self._execute(self._execute_fetchall, sql, params)  # type: ignore[no-untyped-call]
        finally:
            self.pending -= 1
        return rows


class _Job:
    """A function that waits for its turn on a connection's thread, and the future that gets its outcome."""

    __slots__ = ("args", "function", "future")

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.function = function
        self.args = args
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()


#: What became of each job of a batch, in order: (result, None) or (None, what it raised).
_Outcomes = list[tuple[Any, Exception | None]]


class _Lane:
    """One connection that takes whatever waits at the same time together, in one hop to its thread."""

    def __init__(
        self, connection: _Connection, run_batch: Callable[[sqlite3.Connection, list[_Job]], _Outcomes]
    ) -> None:
        self.connection = connection
        self._run_batch = run_batch
        self._waiting: list[_Job] = []
        self._worker: asyncio.Task[None] | None = None

    async def run(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """The result of `function(connection, *args)`. A caller who is cancelled before its turn has asked nothing."""
        job = _Job(function, args)
        self._waiting.append(job)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await job.future

    async def drain(self) -> None:
        """Waits until everything that was accepted is done."""
        if self._worker is not None:
            await asyncio.shield(self._worker)

    async def _work(self) -> None:
        try:
            while self._waiting:
                taken, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                batch = [job for job in taken if not job.future.done()]
                if batch:
                    await self._settle(batch)
        finally:
            self._worker = None

    async def _settle(self, batch: list[_Job]) -> None:
        try:
            outcomes = await self.connection.run(self._run_batch, batch)
        except Exception as error:  # noqa: BLE001 - handed on to everyone who waits for this batch
            outcomes = [(None, _of_batch(error)) for _ in batch]
        for job, (result, raised) in zip(batch, outcomes, strict=True):
            if job.future.done():  # the caller was cancelled meanwhile
                continue
            if raised is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(raised)


def _of_batch(error: Exception) -> Exception:
    """What one of those who share a batch is told; one object each, as whoever raises it adds to its traceback."""
    if is_unavailable(error):
        return DatabaseError(f"The database failed: {error}")
    fault = TransactionError("A transaction could not begin or end")
    fault.__cause__ = error
    return fault


def _connect(uri: str, keyring: Keyring) -> sealed.Connection:
    connection = sqlite3.connect(
        uri,
        factory=sealed.Connection,
        uri=True,
        timeout=BUSY_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    connection.keyring = keyring
    # lower() and LIKE know ASCII only.
    connection.create_function("fold", 1, fold, deterministic=True)
    return connection


def _connect_reader(uri: str, keyring: Keyring) -> sqlite3.Connection:
    connection = _connect(uri, keyring)
    with _closed_on_failure(connection):
        connection.execute("PRAGMA query_only = ON").fetchall()
    return connection


def _connect_writer(uri: str, path: str, keyring: Keyring, *, create: bool, unlock: bool) -> sqlite3.Connection:
    connection = _connect(uri, keyring)
    with _closed_on_failure(connection):
        # Looked at before anything is changed in a file that may be somebody else's.
        (version_of if create else check_current)(connection)
        _use_wal(connection)
        # The result of a PRAGMA must be read, or its lock stays.
        connection.execute("PRAGMA synchronous = FULL").fetchall()
        if create:
            migrate(connection, lambda version: back_up(path, version))
            sealed.prepare(connection, path)
            _warn_of_copies(path)
        elif unlock:
            sealed.check(connection, path)
        connection.execute("PRAGMA foreign_keys = ON").fetchall()
    return connection


def _warn_of_copies(path: str) -> None:
    for copy in plain_text_copies(path):
        log.warning("%s holds secrets in plain text; remove it when there is no need to go back to that version", copy)


def _use_wal(connection: sqlite3.Connection) -> None:
    # SQLite does not wait by itself when two processes want this of a new file at the same time.
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


@contextlib.contextmanager
def _closed_on_failure(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


async def _wrap(raw: sqlite3.Connection) -> _Connection:
    connection = _Connection(lambda: raw, iter_chunk_size=64)
    await connection
    return connection


def _uri(path: str) -> str:
    """SQLite's URI of a file, or of a database in memory that the connections of this process share.

    The memdb VFS has ordinary locks, unlike the shared cache, where a reader fails while a write is under way.
    """
    if path == ":memory:":
        return f"file:/postroom-{uuid.uuid4()}?vfs=memdb"
    return Path(path).absolute().as_uri()


def _prepare_file(path: str, *, create: bool) -> None:
    """Creates the file readable by its owner alone: it holds password hashes and encrypted secrets."""
    if not create and not Path(path).exists():
        raise NoDatabaseError(f"There is no database {path}")
    if path == ":memory:":
        return
    try:
        Path(path).absolute().parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise DatabaseError(f"Cannot open the database {path}: {error.strerror}") from None


class Database:
    """One open SQLite database: `open()`, then `fetch*` and `write`, then `close()`."""

    def __init__(self, writer: _Connection, keyed: _Connection, readers: list[_Connection], generation: int) -> None:
        self._writes = _Lane(writer, self._run_writes)
        self._keyed_reads = _Lane(keyed, _run_reads)
        self._readers = readers
        self._closed = False
        self._generation = generation
        self._generation_lock = threading.Lock()

    @classmethod
    async def open(
        cls, path: str, *, create: bool = True, key_file: str | None = None, unlock: bool = True
    ) -> "Database":
        """Opens the file, or `:memory:`, creates it if need be and brings it up to date.

        Raises DatabaseError when it cannot be used: unwritable, not a database; WrongDatabaseError when it was made by
        a newer version. Without `create` nothing is made or brought up to date, since a service may be running on it:
        NoDatabaseError when there is no such file, WrongDatabaseError when it is of an older version, too.

        The keys of stored secrets are in `key_file`, or else `<path>.key`; WrongDatabaseError when it cannot be used,
        unless they are not to be unlocked.
        """
        _prepare_file(path, create=create)
        keyring = Keyring(key_file or (f"{path}.key" if path != ":memory:" else None))
        uri = _uri(path)
        connections: list[_Connection] = []
        try:
            # Opened beforehand: a connector that fails on aiosqlite's thread leaves that thread to end by itself, which
            # it cannot do quietly once the event loop is closed.
            writer = partial(_connect_writer, uri, path, keyring, create=create, unlock=unlock)
            for connect in (writer, *[partial(_connect_reader, uri, keyring)] * READERS):
                raw = await asyncio.to_thread(connect)
                connections.append(await _wrap(raw))
            (row,) = await connections[0].fetch("SELECT value FROM auth_generation", ())
        except BaseException as error:
            for connection in connections:
                await connection.close()
            if isinstance(error, sqlite3.Error):
                kind = WrongDatabaseError if isinstance(error, WrongSchemaError) else DatabaseError
                raise kind(f"Cannot open the database {path}: {error}") from None
            if isinstance(error, KeyFileError):
                raise WrongDatabaseError(str(error)) from None
            raise
        return cls(connections[0], connections[1], connections[2:], row[0])

    @property
    def auth_generation(self) -> int:
        """Grows whenever the answer to "who may do what" may have changed (see the triggers in the schema)."""
        return self._generation

    @auth_generation.setter
    def auth_generation(self, generation: int) -> None:
        # The writer's thread and the watch both tell, and a read that began before a commit may tell after it: going
        # back would give out what was remembered before the commit.
        with self._generation_lock:
            self._generation = max(self._generation, generation)

    async def fetch_by_key(self, sql: str, params: Sequence[object]) -> Any:
        """The first column of the row that a statement finds by key, None when there is none.

        Statements that come at the same time share a hop to a reader of their own, so that no search is in their way;
        nothing slower than a look-up by key may be asked here.
        """
        return await self._keyed_reads.run(_fetch_value, (sql, params))

    async def fetch_row_by_key(self, sql: str, params: Sequence[object]) -> Any:
        """The whole row, or None, under the same conditions."""
        return await self._keyed_reads.run(_fetch_row, (sql, params))

    async def fetch_all(self, sql: str, params: Sequence[object] = ()) -> list[Any]:
        """All rows of a statement, as tuples."""
        reader = min(self._readers, key=lambda reader: reader.pending)
        return await reader.fetch(sql, params)

    async def fetch_row(self, sql: str, params: Sequence[object] = ()) -> Any:
        """The first row, or None."""
        rows = await self.fetch_all(sql, params)
        return rows[0] if rows else None

    async def fetch_value(self, sql: str, params: Sequence[object] = ()) -> Any:
        """The first column of the first row, or None when there is no row."""
        rows = await self.fetch_all(sql, params)
        return rows[0][0] if rows else None

    async def read(self, function: Callable[[sqlite3.Connection, *Ts], T], *args: *Ts) -> T:
        """The result of `function(connection, *args)` on a reader, for what takes several statements."""
        reader = min(self._readers, key=lambda reader: reader.pending)
        reader.pending += 1
        try:
            return await reader.run(function, *args)
        finally:
            reader.pending -= 1

    async def write(self, function: Callable[[sqlite3.Connection, *Ts], T], *args: *Ts) -> T:
        """Runs `function(connection, *args)` as one transaction and returns its result once it is on disk.

        What the function raises rolls back what it did, and nothing else, and is raised here; so does what GUARD has
        against it. DatabaseError when the commit itself failed, TransactionError when that was a fault of ours: then
        nothing was stored.
        """
        if self._closed:
            raise DatabaseError("The database is closed")
        guard = GUARD.get()
        job = function if guard is None else partial(_run_guarded, guard, function)
        result: T = await self._writes.run(job, args)
        return result

    async def check(self) -> None:
        """Reads something from the file; raises what stands in the way."""
        await self.fetch_value("SELECT value FROM auth_generation")

    async def refresh_auth_generation(self) -> None:
        """Learns what another process (a command on the same file) has changed."""
        self.auth_generation = await self.fetch_value("SELECT value FROM auth_generation")

    async def close(self) -> None:
        """Finishes what was accepted and closes every connection. Twice is fine."""
        if self._closed:
            return
        self._closed = True
        await self._writes.drain()
        await self._keyed_reads.drain()
        for reader in (self._keyed_reads.connection, *self._readers):
            await reader.close()
        with contextlib.suppress(sqlite3.Error):
            await self._writes.connection.fetch("PRAGMA optimize", ())
        await self._writes.connection.close()

    def _run_writes(self, connection: sqlite3.Connection, batch: list[_Job]) -> _Outcomes:
        outcomes: _Outcomes = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in batch:
                connection.execute("SAVEPOINT job")
                try:
                    outcomes.append((job.function(connection, *job.args), None))
                except Exception as error:
                    # After a full disk or an I/O error SQLite has rolled back all by itself: that fails the batch.
                    if not connection.in_transaction:
                        raise
                    connection.execute("ROLLBACK TO job")
                    outcomes.append((None, error))
                connection.execute("RELEASE job")
            (generation,) = connection.execute("SELECT value FROM auth_generation").fetchone()
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        # Known before anybody is answered, so that what was revoked is revoked from then on.
        self.auth_generation = generation
        return outcomes


def _run_guarded(
    guard: Guard,
    function: Callable[..., T],
    connection: sqlite3.Connection,
    *args: object,
) -> T:
    guard(connection)
    return function(connection, *args)


def _run_reads(connection: sqlite3.Connection, batch: list[_Job]) -> _Outcomes:
    outcomes: _Outcomes = []
    for job in batch:
        try:
            outcomes.append((job.function(connection, *job.args), None))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is its caller's to see
            outcomes.append((None, error))
    return outcomes


def _fetch_row(connection: sqlite3.Connection, sql: str, params: Sequence[object]) -> Any:
    return connection.execute(sql, params).fetchone()


def _fetch_value(connection: sqlite3.Connection, sql: str, params: Sequence[object]) -> Any:
    row = _fetch_row(connection, sql, params)
    return row[0] if row else None
