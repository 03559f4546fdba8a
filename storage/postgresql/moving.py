"""Moves out of a PostgreSQL database, and into an empty one."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import psycopg

from postroom.storage.faults import DatabaseError, IntegrityError
from postroom.storage.keyring import Keyring
from postroom.storage.moving.stores import MoveError, Row, UnfitRowError
from postroom.storage.moving.tables import TABLES
from postroom.storage.postgresql.connection import WRITE_LOCK, Connection
from postroom.storage.postgresql.faults import told
from postroom.storage.postgresql.migrating import prepare, prepare_empty
from postroom.storage.postgresql.opening import Kind, connect
from postroom.storage.urls import shown

#: The server's start and the place in it: no other database has the same.
_IDENTITY: Final = """
    SELECT pg_postmaster_start_time()::text, (SELECT oid FROM pg_database WHERE datname = current_database())::bigint,
           current_schema()::text
"""
_COLUMNS: Final = """
    SELECT attname::text FROM pg_attribute
     WHERE attrelid = CAST($1 AS regclass) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
#: What is faster to make at the end than to keep up with each row: (what it is on, its name, how it is made).
_FOREIGN_KEYS: Final = """
    SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid) FROM pg_constraint
     WHERE contype = 'f' AND connamespace = current_schema()::regnamespace ORDER BY 1, 2
"""
_INDEXES: Final = """
    SELECT indrelid::regclass::text, indexrelid::regclass::text, pg_get_indexdef(indexrelid)
      FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
     WHERE relnamespace = current_schema()::regnamespace
       AND indexrelid NOT IN (SELECT conindid FROM pg_constraint WHERE contype IN ('p', 'u'))
     ORDER BY 1, 2
"""
_NUMBERED: Final = """
    SELECT table_name::text FROM information_schema.columns
     WHERE is_identity = 'YES' AND table_schema = current_schema() ORDER BY 1
"""
#: The index that is filled last.
_SEARCH: Final = "user_search"


class Source:
    """See `moving.stores.Source`."""

    def __init__(self, connection: Connection, url: str) -> None:
        self.name = shown(url)
        self._connection = connection

    @property
    def engine(self) -> str:
        """Name and version of the engine, for people."""
        return f"PostgreSQL {(self._connection.raw.info.parameter_status('server_version') or '').split(' ')[0]}"

    @property
    def identity(self) -> object:
        """The server and the database."""
        return self._run(_IDENTITY)[0]

    def columns(self, table: str) -> list[str]:
        """The columns of a table."""
        return [name for (name,) in self._run(_COLUMNS, table)]

    def batches(self, sql: str, size: int) -> Iterator[Sequence[Row]]:
        """The rows of a statement."""
        self._do(f"DECLARE moved NO SCROLL CURSOR FOR {sql}")
        while rows := self._run(f"FETCH {size} FROM moved"):
            yield rows
        self._do("CLOSE moved")

    def last_id(self, table: str) -> int:
        """The largest ID."""
        ((last,),) = self._run(
            f"SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM {table}_id_seq"
        )
        return int(last)

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """`function(connection, *args)`."""
        return function(self._connection, *args)

    def _run(self, sql: str, *values: object) -> list[Any]:
        with self._told():
            return self._connection.raw.execute(sql, values).fetchall()

    def _do(self, sql: str) -> None:
        with self._told():
            self._connection.raw.execute(sql, prepare=False)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Names the database in failures."""
        try:
            yield
        except psycopg.Error as error:
            failure = told(error)
            if isinstance(failure, DatabaseError):
                raise DatabaseError(f"{self.name}: {failure}") from error
            raise failure from error


class Target(Source):
    """See `moving.stores.Target`. All of it, the schema included, is one transaction."""

    def __init__(self, connection: Connection, url: str) -> None:
        super().__init__(connection, url)
        self._url = url
        self._foreign_keys: list[tuple[str, str, str]] = []
        self._indexes: list[tuple[str, str, str]] = []

    def begin(self) -> None:
        """Makes the schema."""
        self._do("BEGIN")
        prepare_empty(self._connection, self._url)
        self._foreign_keys, self._indexes = self._run(_FOREIGN_KEYS), self._run(_INDEXES)
        for table, name, _ in self._foreign_keys:
            self._do(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        for _, name, _ in self._indexes:
            self._do(f"DROP INDEX {name}")
        for table in TABLES:
            self._do(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        self._do("DELETE FROM auth_generation")

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Stores rows."""
        statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
        self._do("SAVEPOINT batch")
        try:
            self._copy(statement, rows)
        except IntegrityError as error:
            self._do("ROLLBACK TO batch")
            if len(rows) == 1:
                raise UnfitRowError(rows[0], _reason(error)) from None
            # One of them is it.
            for row in rows:
                self.insert(table, columns, [row])
        self._do("RELEASE batch")

    def complete(self, last_ids: dict[str, int]) -> None:
        """Makes it whole."""
        # More would only help larger indexes than a million users have.
        self._do("SET LOCAL maintenance_work_mem = '256MB'")
        self._make_indexes(lambda table: table != _SEARCH)
        for table in TABLES:
            self._do(f"ALTER TABLE {table} ENABLE TRIGGER USER")
            self._do(f"ANALYZE {table}")
        for table, name, definition in self._foreign_keys:
            try:
                self._do(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
            except IntegrityError as error:
                raise MoveError(f"Cannot store a row of {table} in {self.name}: {_reason(error)}") from None
        for (table,) in self._run(_NUMBERED):
            ((last,),) = self._run(f"SELECT greatest(max(id), CAST($1 AS bigint)) FROM {table}", last_ids.get(table, 0))
            if last:
                self._run(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), $1)", last)

    def commit(self) -> None:
        """Stores it."""
        self._make_indexes(lambda table: table == _SEARCH)
        self._do(f"ANALYZE {_SEARCH}")
        self._connection.execute("COMMIT")

    def _make_indexes(self, wanted: Callable[[str], bool]) -> None:
        for table, _, definition in self._indexes:
            if wanted(table):
                self._do(definition)

    def _copy(self, statement: str, rows: Sequence[Row]) -> None:
        with self._told(), self._connection.raw.cursor().copy(statement) as copy:
            for row in rows:
                copy.write_row(row)


def _reason(error: IntegrityError) -> str:
    """The rule that is broken, without the values of the row."""
    cause = error.__cause__
    diagnosis = cause.diag.message_primary if isinstance(cause, psycopg.Error) else None
    return diagnosis or str(cause or error)


@contextlib.contextmanager
def open_source(name: str, keyring: Keyring) -> Iterator[Source]:
    """The database as it is at one moment, with the lock of those who write: others may go on reading."""
    with _connected(name, keyring, kind="searches") as connection:
        # Of the session, because a transaction would see what was there when it began to wait.
        try:
            connection.raw.execute(f"SELECT pg_advisory_lock({WRITE_LOCK})")
        except psycopg.errors.LockNotAvailable:
            raise DatabaseError(f"{shown(name)} cannot be locked: a service is writing to it") from None
        yield _at_one_moment(connection, name)


@contextlib.contextmanager
def open_snapshot(name: str) -> Iterator[Source]:
    """The database as it is at one moment. Others may go on writing."""
    with _connected(name, Keyring(None), kind="searches") as connection:
        yield _at_one_moment(connection, name)


def _at_one_moment(connection: Connection, name: str) -> Source:
    connection.raw.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    prepare(connection, name, create=False, same=True)
    return Source(connection, name)


@contextlib.contextmanager
def open_target(name: str) -> Iterator[Target]:
    """The empty database."""
    with _connected(name, Keyring(None), kind="writer") as connection:
        yield Target(connection, name)


@contextlib.contextmanager
def _connected(url: str, keyring: Keyring, *, kind: Kind) -> Iterator[Connection]:
    connection = connect(url, keyring, kind=kind)
    # A session that ends takes its transaction and its lock along.
    with contextlib.closing(connection):
        connection.set_up()
        # While one database works, the other has nothing to do.
        connection.raw.execute("SET idle_in_transaction_session_timeout = 0")
        connection.raw.execute("SET statement_timeout = 0")
        yield connection
