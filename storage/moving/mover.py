"""Moves everything from one database into an empty one, as a whole or not at all."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from postroom.storage import sealed, tasks, user_search
from postroom.storage.engine import Connection
from postroom.storage.faults import DatabaseError
from postroom.storage.keyring import KeyFileError, Keyring, MissingKeyFileError, key_file_of
from postroom.storage.moving import sqlite
from postroom.storage.moving.stores import Engine, MoveError, Row, Source, Target, UnfitRowError
from postroom.storage.moving.tables import BATCH, KEPT_IDS, SEARCH_BATCH, TABLES, select
from postroom.storage.opening import NO_POSTGRESQL
from postroom.storage.progress import Report
from postroom.storage.urls import is_url

#: A task whose process has shown life within so many seconds is being worked on.
_LIFE: Final = 30


@dataclass(frozen=True, slots=True)
class Copied:
    """A table that is the same in both databases: its rows, and a checksum of them in the order of the key."""

    table: str
    rows: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Moved:
    """The result: what was copied, and where a service on the target looks for the keys of its secrets."""

    tables: Sequence[Copied]
    keys: Path
    #: The file that somebody still has to copy there.
    copy_keys_from: Path | None


@dataclass(slots=True)
class _Progress:
    report: Report
    total: int
    done: int = 0

    def add(self, what: str, rows: int) -> None:
        self.done += rows
        self.report(what, self.done, self.total)


@dataclass(slots=True)
class _Sum:
    rows: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def add(self, rows: Sequence[Row]) -> None:
        self.rows += len(rows)
        for row in rows:
            self.digest.update(orjson.dumps(row))


def move(source: str, target: str, key_file: str | None, report: Report) -> Moved:
    """Copies everything. `key_file` is the setting: None means that keys are beside the files.

    Raises MoveError (and what else is a WrongDatabaseError) when it is refused, DatabaseError when one of the two
    cannot be used at the moment. Then nothing is left of the target.
    """
    if key_file is None and (is_url(source) or is_url(target)):
        raise MoveError(
            "With PostgreSQL, POSTROOM_KEY_FILE has to name the file with the keys of stored secrets; "
            "for one that has been beside an SQLite file, copy that first"
        )
    keyring = Keyring(key_file_of(source, key_file))
    with _engine_of(source).open_source(source, keyring) as old, _engine_of(target).open_target(target) as new:
        if old.identity == new.identity:
            raise MoveError(f"{old.name} and {new.name} are the same database")
        old.run(_refuse_while_a_task_runs, old.name)
        _check_keys(old, source, keyring)
        keys = Path(key_file_of(target, key_file))
        copy_keys = key_file is None and not _has_keys(keys, old)
        copied = _copy_into(new, old, report)
    return Moved(copied, keys, keyring.path if copy_keys else None)


def copy(source: Source, target: str, report: Report) -> list[Copied]:
    """Copies everything from a database that is open, and stays as it is meanwhile, into a new one."""
    with _engine_of(target).open_target(target) as new:
        return _copy_into(new, source, report)


def _copy_into(target: Target, source: Source, report: Report) -> list[Copied]:
    target.begin()
    copied = _copy_all(source, target, report)
    target.commit()
    return copied


def _engine_of(name: str) -> Engine:
    if not is_url(name):
        return sqlite
    try:
        from postroom.storage.postgresql import moving
    except ImportError:
        raise MoveError(NO_POSTGRESQL) from None
    return moving


def _refuse_while_a_task_runs(connection: Connection, name: str) -> None:
    for task in tasks.list_unfinished(connection):
        if task.seen > time.time() - _LIFE:
            raise DatabaseError(f"Task {task.id} is being worked on in {name}: wait for its end, or cancel it")


def _check_keys(source: Source, name: str, keyring: Keyring) -> None:
    """Secrets are copied as they are, so the keys that encrypt them have to be there."""
    try:
        source.run(sealed.check, source.name)
    except KeyFileError as error:
        beside = Path(f"{name}.key")
        if not is_url(name) and keyring.path != beside and beside.exists():
            raise MoveError(f"{error}. Or is it {beside}? Copy that to {keyring.path} first") from None
        raise MoveError(str(error)) from None


def _has_keys(path: Path, source: Source) -> bool:
    """Whether the file has the key in use. MoveError when it has others: the right file would replace them."""
    try:
        known = {key.id for key in Keyring(str(path)).load()}
    except MissingKeyFileError:
        return False
    except KeyFileError as error:
        raise MoveError(str(error)) from None
    if source.run(sealed.find_key_id) not in known:
        raise MoveError(f"{path} has the keys of another database; put it elsewhere first")
    return True


def _copy_all(source: Source, target: Target, report: Report) -> list[Copied]:
    counts = {table: source.run(_count, table) for table in TABLES}
    progress = _Progress(report, 2 * sum(counts.values()) + counts["users"])
    columns = {table: source.columns(table) for table in TABLES}
    copied = [_copy(source, target, table, columns[table], progress) for table in TABLES]
    last_ids = {table: source.last_id(table) for table in KEPT_IDS}
    target.complete(last_ids)
    searchable = "SELECT id FROM users WHERE domain_id IS NOT NULL ORDER BY domain_id, id"
    for batch in target.batches(searchable, SEARCH_BATCH):
        target.run(_make_searchable, batch)
        progress.add("search index", len(batch))
    for one in copied:
        if _read(target, one.table, columns[one.table], progress) != one:
            raise MoveError(f"The copy of {one.table} would not be the same as the original")
    if {table: target.last_id(table) for table in KEPT_IDS} != last_ids:
        raise MoveError("IDs that were given once would be given again")
    return copied


def _count(connection: Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def _copy(source: Source, target: Target, table: str, columns: Sequence[str], progress: _Progress) -> Copied:
    found = _Sum()
    for batch in source.batches(select(table, columns), BATCH):
        try:
            target.insert(table, columns, batch)
        except UnfitRowError as error:
            key = ", ".join(f"{name} {error.row[columns.index(name)]}" for name in TABLES[table])
            raise MoveError(f"{target.name} cannot store a row of {table} ({key}): {error}") from None
        found.add(batch)
        progress.add(table, len(batch))
    return Copied(table, found.rows, found.digest.hexdigest())


def _read(store: Source, table: str, columns: Sequence[str], progress: _Progress) -> Copied:
    found = _Sum()
    for batch in store.batches(select(table, columns), BATCH):
        found.add(batch)
        progress.add("comparing", len(batch))
    return Copied(table, found.rows, found.digest.hexdigest())


def _make_searchable(connection: Connection, users: Sequence[Row]) -> None:
    connection.executemany("INSERT INTO search_due (user_id) VALUES (?)", users)
    user_search.refresh(connection)
