"""Upgrades of a database: what one would do, asked without changing anything, and the upgrade without a service."""

import asyncio
import contextlib
import fcntl
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from postroom.storage import migrations
from postroom.storage.claim import Claim
from postroom.storage.connections import connect_plain, connect_writer, prepare_file, told, uri_of
from postroom.storage.database import Database
from postroom.storage.faults import DatabaseError, WrongDatabaseError
from postroom.storage.keyring import Keyring, key_file_of
from postroom.storage.migrations import WrongSchemaError, version_of
from postroom.storage.opening import NO_POSTGRESQL
from postroom.storage.urls import is_url, shown

_GIB: Final = 1 << 30
#: Seconds for each GiB, measured on two cores and an SSD: the copy, the migrations that change many rows, any other.
_COPY: Final = 2
_SLOW: Final[Mapping[str, int]] = {
    "0003_bounds.sql": 26, "0007_sealed_secrets.sql": 11, "0008_tenants.sql": 4, "0011_user_search.sql": 75
}  # fmt: skip
_QUICK: Final = 1
#: The log and the growth of the file in an upgrade from schema 1, as parts of the file's size. Measured: 1.32 and 0.23.
_CHANGE: Final = 1.6
#: How many bytes of a file SQLite locks, and from which on. Each connection has a share of the last 510 of them.
_LOCK_BYTES: Final = (512, 0x40000000)
_CANNOT_GO_ON: Final = "and could not go on after the migration: stop the service first"


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is there, and what an upgrade would do. Sizes in bytes."""

    schema: int
    #: The schema of this program.
    known: int
    #: The names of the migrations that would be applied.
    pending: Sequence[str]
    #: The oldest schema that a program must know to work with the database afterwards.
    oldest: int
    size: int
    #: The room for a file; None on a server.
    free: int | None

    @property
    def copy(self) -> int:
        """The room for the copy that is made before the migration. A server gets none."""
        return self.size if self.pending and self.free is not None else 0

    @property
    def change(self) -> int:
        """The room that the migration itself needs at most."""
        return int(self.size * _CHANGE) if self.pending and self.free is not None else 0

    @property
    def seconds(self) -> float:
        """About how long an upgrade takes, in which nothing can be written."""
        each = sum(_SLOW.get(name, _QUICK) for name in self.pending)
        return (each + (_COPY if self.copy else 0)) * self.size / _GIB

    @property
    def lack(self) -> int:
        """How much room is missing for the copy."""
        return max(0, self.copy - self.free) if self.free is not None else 0


def look(name: str) -> Outlook:
    """What an upgrade of a database would do. Nothing is changed, and a service may be running on it.

    Raises DatabaseError, NoDatabaseError, WrongDatabaseError.
    """
    if not is_url(name):
        return _look_at_file(name)
    return _look_at_server(name)


def upgrade(name: str, key_file: str | None, outlook: Outlook) -> Path | None:
    """Brings a database up to date as the service does when it starts; returns the path of the copy, if one was made.

    Raises DatabaseError, WrongDatabaseError; then the database is as it was.
    """
    if is_url(name):
        if outlook.oldest > outlook.schema:
            _refuse_sessions(name)
        asyncio.run(_open_once(name, key_file))
        return None
    if outlook.lack:
        raise DatabaseError(f"There is no room for a copy of {name}: {outlook.lack:,} bytes are missing")
    prepare_file(name, create=False)
    if outlook.oldest > outlook.schema:
        _refuse_in_use(name)
    copies: list[Path] = []
    claim = Claim(name, in_memory=False)
    try:
        with told(name):
            keyring = Keyring(key_file_of(name, key_file))
            connect_writer(uri_of(name), name, keyring, create=True, unlock=True, copied=copies.append).close()
    finally:
        claim.release()
    return copies[0] if copies else None


def _look_at_server(url: str) -> Outlook:
    try:
        from postroom.storage.postgresql import migrating
        from postroom.storage.postgresql.opening import connect
    except ImportError:
        raise WrongDatabaseError(NO_POSTGRESQL) from None
    with contextlib.closing(connect(url, Keyring(None), kind="searches")) as connection:
        connection.set_up()
        schema, oldest, pending = migrating.look(connection, url)
        (size,) = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return Outlook(schema, migrating.latest(), pending, oldest, size, None)


async def _open_once(name: str, key_file: str | None) -> None:
    await (await Database.open(name, key_file=key_file)).close()


def _look_at_file(path: str) -> Outlook:
    prepare_file(path, create=False)
    with told(path), contextlib.closing(connect_plain(uri_of(path), Keyring(None))) as connection:
        # Not opened for reading only: then what SQLite keeps beside a database would stay there.
        connection.execute("PRAGMA query_only = ON").fetchall()
        schema = version_of(connection)
        if schema == 0:
            raise WrongSchemaError("there is nothing in it")
        (size,) = connection.execute(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        ).fetchone()
        # Of a newer schema that this program can go on with, too.
        oldest = migrations.find_oldest(connection) if schema >= migrations.latest() else migrations.oldest()
    pending = [migration.name for migration in migrations.migrations() if migration.number > schema]
    free = shutil.disk_usage(Path(path).resolve().parent).free
    return Outlook(schema, migrations.latest(), pending, oldest or schema, size, free)


def _refuse_in_use(path: str) -> None:
    """DatabaseError while another process has a connection to the file."""
    # Before this process has one: closing the descriptor ends all locks that it has on the file.
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, *_LOCK_BYTES)
    except BlockingIOError:
        raise DatabaseError(f"Something is using the database {path}, {_CANNOT_GO_ON}") from None
    finally:
        os.close(descriptor)


def _refuse_sessions(url: str) -> None:
    """DatabaseError while another postroom has a session with the database."""
    from postroom.storage.postgresql.opening import connect

    with contextlib.closing(connect(url, Keyring(None), kind="searches")) as connection:
        (others,) = connection.execute(
            """
            SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'postroom' AND pid <> pg_backend_pid()
            """
        ).fetchone()
    if others:
        raise DatabaseError(f"Something is using the database {shown(url)}, {_CANNOT_GO_ON}")
