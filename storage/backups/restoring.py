"""Restores a backup: checks it, prepares it beside the database, and puts it in its place in one step."""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from postroom.storage import sealed
from postroom.storage.audit.record import record_restore
from postroom.storage.backups import checking, settling
from postroom.storage.backups.manifest import KEY, BackupError, Manifest, beside
from postroom.storage.backups.replacing import Present
from postroom.storage.backups.settling import Settled
from postroom.storage.backups.work import work_folder
from postroom.storage.connections import IN_MEMORY, connect_plain, uri_of
from postroom.storage.faults import DatabaseError
from postroom.storage.files import flush, give_to_owner_of
from postroom.storage.keyring import KeyFileError, Keyring, MissingKeyFileError, key_file_of
from postroom.storage.migration_copy import SEALED_SINCE
from postroom.storage.migrations import latest, migrate
from postroom.storage.moving import mover
from postroom.storage.progress import Report
from postroom.storage.sqlite import sqlite3
from postroom.storage.urls import is_url
from postroom.storage.writing import AUTHOR

#: From this schema on, there is a record of changes.
_RECORDED_SINCE: Final = 13


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be restored, and where to.

    `key_file` is the setting. `checked`: the backup has to have its manifest. Without
    `with_secrets` the secrets that the present keys do not open are deleted. `keep_tokens`: tokens for programs stay
    valid, also those that may have been revoked after the backup.
    """

    backup: Path
    database: str
    key_file: str | None = None
    checked: bool = True
    with_secrets: bool = True
    keep_tokens: bool = False
    #: What the record of changes says of it, if not the name of the file. Not a URL, which may have a password.
    told_as: str = ""

    @property
    def keys(self) -> Path:
        """The file with the keys."""
        return Path(key_file_of(self.database, self.key_file))


@dataclass(frozen=True, slots=True)
class Restored:
    """What has been done. `kept`: where the database from before is, None when there was none."""

    manifest: Manifest | None
    schema: int
    users: int
    settled: Settled
    kept: Path | None
    #: Whether IDs go on behind those of the database from before.
    ids_kept: bool
    #: Whether the key file was missing, and was restored as well.
    key_restored: bool

    @property
    def is_older(self) -> bool:
        """Whether the next start of the service brings the database up to date."""
        return self.schema < latest()


def restore(order: Order, report: Report) -> Restored:
    """Restores a backup, as a whole or not at all.

    Raises BackupError, DamagedBackupError and WrongDatabaseError when it is refused, DatabaseError when it cannot be
    done at the moment. Then the database is as it was.
    """
    if order.database == IN_MEMORY:
        raise BackupError("A database in memory belongs to a single process, and cannot be restored")
    with _told(order.database):
        return _into_server(order, report) if is_url(order.database) else _into_file(order, report)


def _into_file(order: Order, report: Report) -> Restored:
    # Beside the real file, not beside a link to it.
    database = Path(order.database).resolve()
    if not database.parent.is_dir():
        raise BackupError(f"There is no folder {database.parent}")
    with (
        work_folder(database.with_name(f"{database.name}.restore.part"), "Another restore is running") as work,
        Present.locked(database) as present,
    ):
        copy = work / "copy"
        manifest, schema, users, settled = _prepare(order, copy, report, present)
        key_restored = _see_to_keys(order, copy, schema)
        give_to_owner_of(database if present.exists else database.parent, copy)
        flush(copy)
        kept = present.replace(copy)
    return Restored(manifest, schema, users, settled, kept, present.known is not None, key_restored)


def _into_server(order: Order, report: Report) -> Restored:
    if order.key_file is None:
        raise BackupError("With PostgreSQL, POSTROOM_KEY_FILE has to name the file with the keys of stored secrets")
    # Beside the key file, which is on this machine.
    folder = order.keys.resolve().with_name("postroom.restore.part")
    with work_folder(folder, "Another restore is running") as work:
        copy = work / "copy"
        manifest, schema, users, settled = _prepare(order, copy, report, None)
        key_restored = _see_to_keys(order, copy, schema)
        with contextlib.closing(connect_plain(uri_of(str(copy)), Keyring(order.key_file))) as connection:
            migrate(connection, lambda _version: None)
            sealed.prepare(connection, str(order.backup), order.keys.parent)
        mover.move(str(copy), order.database, order.key_file, report)
    return Restored(manifest, latest(), users, settled, None, ids_kept=False, key_restored=key_restored)


def _prepare(
    order: Order, copy: Path, report: Report, present: Present | None
) -> tuple[Manifest | None, int, int, Settled]:
    manifest = checking.fetch(order.backup, copy, report, checked=order.checked)
    with checking.opened(copy, order.backup) as connection:
        schema, users = checking.identify(connection, order.backup)
        checking.check(connection, order.backup, report)
        connection.execute("BEGIN IMMEDIATE")
        known = None if present is None else present.known
        settled = settling.settle(connection, known, keep_tokens=order.keep_tokens)
        if schema >= _RECORDED_SINCE:
            record_restore(connection, AUTHOR.get()(), _changes(order, manifest, settled), time.time())
        connection.execute("COMMIT")
        # In one file: nothing of it may stand beside it.
        connection.execute("PRAGMA journal_mode = DELETE").fetchall()
    return manifest, schema, users, settled


def _changes(order: Order, manifest: Manifest | None, settled: Settled) -> dict[str, list[Any]]:
    # A name may have any bytes.
    name = order.told_as or os.fsencode(order.backup.name).decode("utf-8", "replace")
    done = {
        "restored": name if manifest is None else f"{name}, as of {manifest.time}",
        "revokedTokens": settled.tokens,
        "interruptedTasks": settled.tasks,
    }
    return {name: [None, value] for name, value in done.items() if value}


def _see_to_keys(order: Order, copy: Path, schema: int) -> bool:
    """Looks whether the present keys open the backup's secrets; a copy of them beside it takes a missing file's place.

    Returns whether that has happened.
    """
    if schema < SEALED_SINCE:
        return False
    ring, own = Keyring(str(order.keys)), beside(order.backup, KEY)
    with contextlib.closing(connect_plain(uri_of(str(copy)), ring)) as connection:
        key_id = sealed.find_key_id(connection)
        try:
            if key_id in {key.id for key in ring.load()}:
                return False
            also = f"; {own} stands beside the backup" if own.exists() else ""
            reason = f"The key file {order.keys} is not the one for the secrets in {order.backup}{also}"
        except MissingKeyFileError:
            if own.exists() and key_id in {key.id for key in Keyring(str(own)).load()}:
                ring.replace(Keyring(str(own)).load())
                return True
            reason = f"The key file {order.keys} is missing, and without it nobody can read the secrets in the backup"
        if order.with_secrets:
            raise BackupError(f"{reason}: put the right one there first. If it is lost: --without-secrets")
        connection.execute("BEGIN IMMEDIATE")
        sealed.reset(connection, order.database)
        connection.execute("COMMIT")
    return False


@contextlib.contextmanager
def _told(database: str) -> Iterator[None]:
    """Names what failed."""
    try:
        yield
    except KeyFileError as error:
        raise BackupError(str(error)) from None
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror or error if isinstance(error, OSError) else error
        where = "The restore" if is_url(database) else f"The restore of {database}"
        raise DatabaseError(f"{where} failed: {reason}") from error
