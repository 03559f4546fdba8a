"""Makes the schema of a PostgreSQL database, and brings it up to date: see storage/migrations/postgresql/."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

import psycopg

from postroom.storage.faults import WrongDatabaseError
from postroom.storage.migrations import GOES_ON, made_by_newer, made_by_older, oldest_after
from postroom.storage.postgresql.connection import Connection
from postroom.storage.postgresql.faults import told
from postroom.storage.postgresql.opening import OLDEST
from postroom.storage.urls import shown

log = logging.getLogger("postroom.storage")

#: Whoever migrates holds this lock, so of several nodes that start at once one does and the others wait.
_LOCK: Final = 0x6D69_6772_6174_6531
#: Milliseconds to wait for it.
_PATIENCE: Final = 60_000


@cache
def _scripts() -> dict[int, str]:
    """Version -> the script that leads to it, in order."""
    return {number: file.read_text("utf-8") for number, file in _files().items()}


@cache
def _files() -> dict[int, Traversable]:
    folder = files("postroom.storage.migrations").joinpath("postgresql")
    return dict(sorted((int(file.name[:4]), file) for file in folder.iterdir() if file.name.endswith(".sql")))


def latest() -> int:
    """The schema version that this code works with."""
    return max(_scripts())


def oldest() -> int:
    """The oldest schema that a program must know to work with a database that this code has brought up to date."""
    return max(oldest_after(number, script) for number, script in _scripts().items())


def prepare(connection: Connection, url: str, *, create: bool, same: bool = False) -> None:
    """Looks whether postroom can use the database; with `create` it makes the schema or brings it up to date.

    `same`: for what has to know every table, so that a newer schema will not do. Raises WrongDatabaseError.
    """
    raw = connection.raw
    with _refused(url):
        wrong = _unsuitable(raw) or (_migrate(raw) if create else _not_usable(raw, _version(raw)))
        if wrong is None and same and (version := _version(raw) or 0) > latest():
            wrong = made_by_newer(version, latest(), version)
        if wrong is not None:
            raise _UnfitError(wrong)


def find_version(connection: Connection) -> int:
    """The schema of a database that `prepare` has looked at."""
    return _version(connection.raw) or 0


def look(connection: Connection, url: str) -> tuple[int, int, Sequence[str]]:
    """(schema, oldest schema that a program must know after an upgrade, names of the pending migrations).

    Raises WrongDatabaseError when this program can neither work with the database nor bring it up to date.
    """
    raw = connection.raw
    with _refused(url):
        version = _version(raw)
        wrong = _unsuitable(raw) or ("there is nothing in it" if version == 0 else _not_ours(raw, version))
        if wrong is not None or version is None:
            raise _UnfitError(wrong)
        needed = _find_oldest(raw, version) if version >= latest() else oldest()
    return version, needed, [script.name for number, script in _files().items() if number > version]


class _UnfitError(Exception):
    """The text says why a database is none for this program."""


@contextlib.contextmanager
def _refused(url: str) -> Iterator[None]:
    """Names the database in what it is refused for."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        wrong = f"the user lacks a right: {error.diag.message_primary}"
    except _UnfitError as error:
        wrong = str(error)
    except psycopg.Error as error:
        raise told(error) from error
    else:
        return
    raise WrongDatabaseError(f"Cannot open the database {shown(url)}: {wrong}")


def prepare_empty(connection: Connection, url: str) -> None:
    """Makes the schema inside the caller's transaction; whoever else wants to waits for its end.

    Raises WrongDatabaseError, also when there is something in the database.
    """
    try:
        connection.raw.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
        empty = _version(connection.raw) == 0
    except psycopg.Error as error:
        raise told(error) from error
    if not empty:
        raise WrongDatabaseError(f"The database {shown(url)} is not empty")
    prepare(connection, url, create=True)


def _unsuitable(raw: psycopg.Connection[Any]) -> str | None:
    if raw.info.server_version < OLDEST * 10_000:
        return f"PostgreSQL {raw.info.server_version // 10_000} is too old; {OLDEST} or newer is needed"
    row = raw.execute("SELECT current_setting('server_encoding'), lower('Ä') = 'ä', pg_is_in_recovery()").fetchone()
    encoding, knows_letters, is_replica = row or ("", False, False)
    if encoding != "UTF8":
        return f"it is encoded in {encoding}; create it with ENCODING 'UTF8'"
    if not knows_letters:
        return "its character type knows ASCII only; create it with LC_CTYPE 'C.UTF-8' and TEMPLATE template0"
    return "the server is a replica, which can only be read" if is_replica else None


def _version(raw: psycopg.Connection[Any]) -> int | None:
    """The version of the schema; 0 for an empty database, None for one of something else."""
    tables = raw.execute(
        "SELECT count(*), count(*) FILTER (WHERE relname = 'schema_version' AND 2 = (SELECT count(*) FROM pg_attribute"
        " WHERE attrelid = pg_class.oid AND (attname, atttypid::regtype::text) IN"
        " (('program', 'text'), ('version', 'bigint'))))"
        " FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'v', 'p')"
    ).fetchone()
    if tables is None or tables[0] == 0:
        return 0
    if not tables[1]:
        return None
    row = raw.execute("SELECT version FROM schema_version WHERE program = 'postroom'").fetchone()
    return int(row[0]) if row else None


def _not_usable(raw: psycopg.Connection[Any], version: int | None) -> str | None:
    """Why this program cannot work with a database as it is; it may be newer if it says so."""
    if version == 0:
        return "there is nothing in it"
    if version is not None and version < latest():
        return made_by_older(version, latest())
    return _not_ours(raw, version)


def _not_ours(raw: psycopg.Connection[Any], version: int | None) -> str | None:
    """Why this program can neither work with a database nor bring it up to date."""
    if version is None:
        return "it has tables of something else"
    if version > latest():
        needed = _find_oldest(raw, version)
        if needed > latest():
            return made_by_newer(version, latest(), needed)
        log.warning(GOES_ON, version, latest())
    return None


def _find_oldest(raw: psycopg.Connection[Any], version: int) -> int:
    row = raw.execute("SELECT oldest_schema FROM compatibility").fetchone()
    return int(row[0]) if row else version


def _migrate(raw: psycopg.Connection[Any]) -> str | None:
    if _version(raw) == latest():
        return None
    with raw.transaction():
        raw.execute(f"SET LOCAL lock_timeout = {_PATIENCE}")
        raw.execute("SET LOCAL statement_timeout = 0")
        raw.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
        # Asked again: another node may have done it meanwhile.
        version = _version(raw)
        if version is None or version >= latest():
            return _not_ours(raw, version)
        _bring_up_to_date(raw, version)
    return None


def _bring_up_to_date(raw: psycopg.Connection[Any], version: int, *, logged: bool = False) -> None:
    """With `logged`, tables that need not survive a crash are made like all others."""
    for number, script in _scripts().items():
        if number > version:
            text = script.replace("CREATE UNLOGGED TABLE", "CREATE TABLE") if logged else script
            # Without parameters a script may have several statements.
            raw.execute(text.encode(), prepare=False)
            raw.execute("UPDATE schema_version SET version = $1", (number,))
    raw.execute("UPDATE compatibility SET oldest_schema = $1", (oldest(),))


def make_elsewhere(connection: Connection, name: str) -> bool:
    """Makes this version's schema under another name, inside the caller's transaction, for which it is the current one.

    False when the user lacks the right. The caller may roll it back: no table is unlogged, because PostgreSQL 15 may
    not start when it is killed right after the rollback of such a table ("could not create file: File exists").
    """
    try:
        with connection.raw.transaction():
            (here,) = connection.raw.execute("SELECT quote_ident(current_schema())").fetchone() or ("public",)
            connection.raw.execute(f"CREATE SCHEMA {name}".encode())
            connection.raw.execute(f"SET LOCAL search_path = {name}, {here}".encode())
            _bring_up_to_date(connection.raw, 0, logged=True)
    except psycopg.errors.InsufficientPrivilege:
        return False
    except psycopg.Error as error:
        raise told(error) from error
    return True
