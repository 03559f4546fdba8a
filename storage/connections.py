"""Opening the SQLite file; the only module that knows aiosqlite."""

import asyncio
import contextlib
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import aiosqlite

from postroom.schemas.values.text import fold
from postroom.storage import sealed
from postroom.storage.audit.capture import capture
from postroom.storage.faults import DatabaseError, NoDatabaseError, WrongDatabaseError
from postroom.storage.keyring import KeyFileError, Keyring
from postroom.storage.migration_copy import copy_before_migration, plain_text_copies
from postroom.storage.migrations import WrongSchemaError, check_current, migrate, version_of
from postroom.storage.sqlite import sqlite3
from postroom.storage.user_search import grams

log = logging.getLogger("postroom.storage")

Ts = TypeVarTuple("Ts")
T = TypeVar("T")

BUSY_TIMEOUT = 5.0  # seconds to wait for a lock that another process holds
IN_MEMORY = ":memory:"


class Connection(aiosqlite.Connection):
    """An aiosqlite connection that runs a whole function on its thread."""

    async def run(self, function: Callable[[sqlite3.Connection, *Ts], T], *args: *Ts) -> T:
        """`function(connection, *args)` in one hop.

        The only use of private parts of aiosqlite, which has no public way to this: its own cursors do the same.
        """
        result: T = await self._execute(function, self._conn, *args)  # type: ignore[no-untyped-call]
        return result


async def wrap(raw: sqlite3.Connection) -> Connection:
    """The connection with a thread of its own."""
    connection = Connection(lambda: raw, iter_chunk_size=64)
    await connection
    return connection


async def connect(
    path: str, keyring: Keyring, readers: int, *, create: bool, unlock: bool
) -> tuple[list[Connection], list[sqlite3.Connection]]:
    """The writer and so many readers, each on a thread of its own; and the same without their threads.

    Raises DatabaseError, WrongDatabaseError.
    """
    uri = uri_of(path)
    raw: list[sqlite3.Connection] = []
    connections: list[Connection] = []
    try:
        # Opened beforehand: a connector that fails on aiosqlite's thread leaves that thread to end by itself, which it
        # cannot do quietly once the event loop is closed.
        writer = partial(connect_writer, uri, path, keyring, create=create, unlock=unlock)
        reader = partial(connect_reader, uri, keyring)
        ways: list[Callable[[], sqlite3.Connection]] = [writer, *[reader] * readers]
        with told(path):
            for each in ways:
                raw.append(await asyncio.to_thread(each))
                connections.append(await wrap(raw[-1]))
    except BaseException:
        for connection in connections:
            await connection.close()
        raise
    return connections, raw


@contextlib.contextmanager
def told(path: str) -> Iterator[None]:
    """Names the file in what goes wrong when it is opened. DatabaseError, WrongDatabaseError."""
    try:
        yield
    except sqlite3.Error as error:
        kind = WrongDatabaseError if isinstance(error, WrongSchemaError) else DatabaseError
        raise kind(f"Cannot open the database {path}: {error}") from None
    except KeyFileError as error:
        raise WrongDatabaseError(str(error)) from None


def connect_reader(uri: str, keyring: Keyring) -> sqlite3.Connection:
    """A connection that cannot change anything."""
    connection = connect_plain(uri, keyring)
    with _closed_on_failure(connection):
        connection.execute("PRAGMA query_only = ON").fetchall()
    return connection


def connect_writer(
    uri: str,
    path: str,
    keyring: Keyring,
    *,
    create: bool,
    unlock: bool,
    copied: Callable[[Path], object] = lambda _copy: None,
) -> sealed.Connection:
    """The connection that writes; with `create` the schema is made, or brought up to date, and secrets are encrypted.

    `copied` is called with the path of the copy that is made before a migration. Raises KeyFileError, unless what is
    encrypted is not to be unlocked.
    """
    connection = connect_plain(uri, keyring)
    with _closed_on_failure(connection):
        # Looked at before anything is changed in a file that may be somebody else's.
        (version_of if create else check_current)(connection)
        _use_wal(connection)
        _sync_every_commit(connection)
        if create:
            migrate(connection, lambda version: copied(copy_before_migration(path, version)))
            sealed.prepare(connection, path, Path(path))
            _warn_of_copies(path)
        elif unlock:
            sealed.check(connection, path)
    if create:
        connection = _with_empty_cache(connection, uri)
    with _closed_on_failure(connection):
        _sync_every_commit(connection)
        connection.execute("PRAGMA foreign_keys = ON").fetchall()
        capture(connection)
    return connection


def _sync_every_commit(connection: sqlite3.Connection) -> None:
    # The result of a PRAGMA must be read, or its lock stays.
    connection.execute("PRAGMA synchronous = FULL").fetchall()


def _with_empty_cache(connection: sealed.Connection, uri: str) -> sealed.Connection:
    """The same connection anew.

    A migration fills the cache of prepared statements. Once it is full, two new statements in turn push each other out,
    and preparing them each time takes longer than running them.
    """
    with contextlib.closing(connection):  # not before the other is open: a database in memory would be gone
        return connect_plain(uri, connection.keyring)


def uri_of(path: str) -> str:
    """SQLite's URI of a file, or of a database in memory that the connections of this process share.

    The memdb VFS has ordinary locks, unlike the shared cache, where a reader fails while a write is under way.
    """
    if path == IN_MEMORY:
        return f"file:/postroom-{uuid.uuid4()}?vfs=memdb"
    return Path(path).absolute().as_uri()


def prepare_file(path: str, *, create: bool) -> None:
    """Creates the file readable by its owner alone: it holds password hashes and encrypted secrets."""
    if not create and not Path(path).exists():
        raise NoDatabaseError(f"There is no database {path}")
    if path == IN_MEMORY:
        return
    try:
        Path(path).absolute().parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise DatabaseError(f"Cannot open the database {path}: {error.strerror}") from None


def connect_plain(uri: str, keyring: Keyring) -> sealed.Connection:
    """A connection in autocommit mode that knows the functions of the schema, and nothing more."""
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
    connection.create_function("grams", 1, grams, deterministic=True)
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
