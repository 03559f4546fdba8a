"""Restores a state of a replica, through the same steps as a backup."""

import contextlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from postroom.storage.backups import replicas, restoring
from postroom.storage.backups.manifest import BackupError
from postroom.storage.backups.work import work_folder
from postroom.storage.connections import connect_reader, uri_of
from postroom.storage.faults import DatabaseError, EngineError
from postroom.storage.keyring import Keyring
from postroom.storage.progress import Report
from postroom.storage.urls import is_url


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be restored: the last state that was found before a moment.

    Litestream may have found the last write before the moment a little later. So `following` is the first state that
    was found afterwards, unless that was much later.
    """

    source: str
    state: replicas.State
    following: replicas.State | None
    moment: datetime | None


def find(source: str, at: str) -> Wanted:
    """The state just before a time. BackupError."""
    now = datetime.now(UTC)
    moment, states = replicas.moment_of(at, now), replicas.list_states(source)
    state = replicas.choose(states, moment, now)
    later = [each for each in states if each.number > state.number]
    soon = moment is not None and later and later[0].time <= moment + timedelta(seconds=1)
    return Wanted(source, state, later[0] if soon else None, moment)


def restore(order: restoring.Order, wanted: Wanted, report: Report) -> tuple[restoring.Restored, str]:
    """Fetches the state beside the database, and restores it from there as a backup without a manifest.

    Also returns since when it was the state. Raises what `restoring.restore` does.
    """
    beside = order.keys if is_url(order.database) else Path(order.database).resolve()
    if not beside.parent.is_dir():
        raise BackupError(f"There is no folder {beside.parent}")
    try:
        with work_folder(beside.with_name(f"{beside.name}.replica.part"), "Another restore is running") as work:
            file, time = _fetch(wanted, work, report)
            told_as = f"a replica, as of {_text(time)}"
            return restoring.restore(replace(order, backup=file, checked=False, told_as=told_as), report), _text(time)
    except OSError as error:
        raise DatabaseError(f"The restore failed: {error.strerror}") from error


def _fetch(wanted: Wanted, work: Path, report: Report) -> tuple[Path, datetime]:
    """The file of the state, and since when it was the state."""
    report("fetching", 0, 0)
    file, following = work / "state", work / "following"
    replicas.fetch(wanted.source, wanted.state, file)
    if wanted.following is not None and wanted.moment is not None:
        replicas.fetch(wanted.source, wanted.following, following)
        time = last_change(following)
        before = last_change(file)
        if time is not None and time < wanted.moment and (before is None or before < time):
            return following, time
    return file, replicas.exact_time(wanted.source, wanted.state)


def last_change(file: Path) -> datetime | None:
    """When the last recorded change in a database was made; None where changes are not on record.

    The ID in the record of changes is the time of the change in microseconds, from inside its transaction.
    """
    try:
        with contextlib.closing(connect_reader(uri_of(str(file)), Keyring(None))) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'audit'").fetchone():
                return None
            (last,) = connection.execute("SELECT max(id) FROM audit").fetchone()
    except EngineError:
        # Whatever is wrong with it is told when it is restored.
        return None
    return None if last is None else datetime.fromtimestamp(0, UTC) + timedelta(microseconds=last)


def _text(time: datetime) -> str:
    """A time for people, with milliseconds if they are known."""
    return time.isoformat(timespec="milliseconds" if time.microsecond else "seconds").replace("+00:00", "Z")
