"""Takes a backup: a consistent copy of a database as one SQLite file, with its manifest beside it."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from postroom.storage import sealed, sqlite
from postroom.storage.backups import copying, folder
from postroom.storage.backups.manifest import KEY, MANIFEST, BackupError, Manifest, beside, moment, read_manifest
from postroom.storage.backups.work import work_folder
from postroom.storage.claim import Claim
from postroom.storage.connections import IN_MEMORY, prepare_file
from postroom.storage.faults import DatabaseError
from postroom.storage.files import flush, give_to_owner_of
from postroom.storage.keyring import KeyFileError, Keyring, key_file_of
from postroom.storage.migration_copy import SEALED_SINCE
from postroom.storage.migrations import WrongSchemaError, version_of
from postroom.storage.moving import mover
from postroom.storage.opening import NO_POSTGRESQL
from postroom.storage.progress import Report
from postroom.storage.sqlite import BESIDE, sqlite3
from postroom.storage.urls import is_url


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be backed up, and where to: a folder, where the backup gets a name, or the file that it becomes.

    `key_file` is the setting. `with_key`: the keys of the secrets are copied as well. `claimed`: this process has the
    database open already.
    """

    database: str
    target: Path
    key_file: str | None = None
    with_key: bool = False
    claimed: bool = False

    @property
    def keys(self) -> Path:
        """The file with the keys."""
        return Path(key_file_of(self.database, self.key_file))


@dataclass(frozen=True, slots=True)
class Taken:
    """A backup that is complete and on disk."""

    path: Path
    manifest: Manifest


def take(order: Order, report: Report, agree: Callable[[], object] = lambda: None) -> Taken:
    """Takes a backup. Raises BackupError when it is refused, DatabaseError when it cannot be done at the moment.

    Then nothing is left of it. `agree` is called when no other process can take one any more, and may raise.
    """
    if order.database == IN_MEMORY:
        raise BackupError("A database in memory belongs to a single process, and cannot be backed up")
    place = order.target if order.target.is_dir() else order.target.parent
    stem = folder.stem_of(order.database) if order.target.is_dir() else order.target.name
    busy = f"Another backup is being written to {order.target}; wait for its end"
    with _told(order.target):
        if not place.is_dir():
            raise BackupError(f"There is no folder {place}")
        with work_folder(place / f"{stem}.backup.part", busy) as work:
            agree()
            return _take(order, work, report)


def _take(order: Order, work: Path, report: Report) -> Taken:
    if order.target.is_dir():
        folder.remove_leftovers(order.target, order.database)
        path = folder.free_name(order.target, order.database)
    else:
        path = order.target
        _refuse_if_there(path)
        _refuse_beside(path, order.database)
    began, copy = datetime.now(UTC), work / "copy"
    engine = _copy(order, copy, report)
    copy.chmod(0o600)
    give_to_owner_of(path.parent, copy)
    flush(copy)
    size, digest = copying.checksum(copy, report)
    schema, users, key_id = _look_into(copy)
    manifest = Manifest(
        version("postroom"), schema, engine, folder.name_of(order.database), moment(began), users, key_id, size, digest
    )
    with _removed_unless_complete(path):
        if order.with_key:
            _copy_key(order.keys, beside(path, KEY), key_id)
        manifest.write(path)
        # Unlike a rename, a link never replaces an existing file.
        os.link(copy, path)
    flush(path.parent)
    return Taken(path, manifest)


def _refuse_if_there(path: Path) -> None:
    if os.path.lexists(path):
        raise BackupError(f"There is a file {path} already; a backup replaces nothing")
    for what in (MANIFEST, KEY):
        # One that a killed backup has left belongs to no file.
        if os.path.lexists(beside(path, what)) and read_manifest(path) is None:
            raise BackupError(f"There is a file {beside(path, what)} already, which is not of a backup")


def _refuse_beside(path: Path, database: str) -> None:
    # SQLite would take it for a journal that a crash has left, stop everybody who opens the database, and delete it.
    if any(path.resolve() == Path(f"{Path(database).resolve()}{each}") for each in BESIDE):
        raise BackupError(f"{path} is a name that SQLite uses beside the database; choose another one")


def _copy(order: Order, copy: Path, report: Report) -> str:
    """Makes the copy; returns which engine the original is of."""
    if is_url(order.database):
        return _copy_of_server(order, copy, report)
    prepare_file(order.database, create=False)
    source = Path(order.database).resolve()
    # A full disk would stop the service, too.
    needed, free = source.stat().st_size, shutil.disk_usage(copy.parent).free
    if free < needed:
        raise DatabaseError(f"There is no room in {copy.parent.parent}: {needed:,} bytes are needed, {free:,} are free")
    with _claimed(order):
        os.close(os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        copying.copy(source, copy, report)
    return f"SQLite {sqlite.VERSION}"


@contextlib.contextmanager
def _claimed(order: Order) -> Iterator[None]:
    claim = Claim(order.database, in_memory=order.claimed)
    try:
        yield
    finally:
        claim.release()


def _copy_of_server(order: Order, copy: Path, report: Report) -> str:
    try:
        from postroom.storage.postgresql.moving import open_snapshot
    except ImportError:
        raise BackupError(NO_POSTGRESQL) from None
    with open_snapshot(order.database) as source:
        mover.copy(source, str(copy), report)
        return source.engine


def _look_into(copy: Path) -> tuple[int, int, str | None]:
    """The schema, the number of users, and the ID of the key in use."""
    with contextlib.closing(sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        schema = version_of(connection)
        (users,) = connection.execute("SELECT count(*) FROM users WHERE domain_id IS NOT NULL").fetchone()
        return schema, users, sealed.find_key_id(connection) if schema >= SEALED_SINCE else None


def _copy_key(keys: Path, target: Path, key_id: str | None) -> None:
    ring = Keyring(str(keys))
    if key_id not in {key.id for key in ring.load()}:
        raise BackupError(f"The key file {keys} is not the one for the secrets in the database")
    Keyring(str(target)).replace(ring.load())


@contextlib.contextmanager
def _removed_unless_complete(path: Path) -> Iterator[None]:
    """Removes what stands beside the backup when that does not come to be."""
    try:
        yield
    except BaseException:
        # An interruption may have come when it was there already.
        if not os.path.lexists(path):
            with contextlib.suppress(OSError):
                for what in (MANIFEST, KEY):
                    beside(path, what).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _told(target: Path) -> Iterator[None]:
    """Names the target, or the database, in failures."""
    try:
        yield
    except WrongSchemaError as error:
        raise BackupError(f"The database cannot be backed up: {error}") from None
    except KeyFileError as error:
        raise BackupError(str(error)) from None
    except sqlite3.Error as error:
        raise DatabaseError(f"The backup to {target} failed: {error}") from error
    except OSError as error:
        raise DatabaseError(f"The backup to {target} failed: {error.strerror or error}") from error
