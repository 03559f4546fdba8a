"""Restores a state of a replica, through the same steps as a backup."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from postroom.storage.backups import replicas, restoring
from postroom.storage.backups.copying import Report
from postroom.storage.backups.manifest import BackupError
from postroom.storage.backups.work import work_folder
from postroom.storage.faults import DatabaseError
from postroom.storage.urls import is_url


@dataclass(frozen=True, slots=True)
class Replicated:
    """A state of a replica that is to be restored."""

    source: str
    state: replicas.State
    time: datetime

    @property
    def text(self) -> str:
        """Since when this was the state, in UTC; with milliseconds if they are known."""
        digits = "milliseconds" if self.time.microsecond else "seconds"
        return self.time.isoformat(timespec=digits).replace("+00:00", "Z")


def find(source: str, at: str) -> Replicated:
    """The state just before a time. BackupError."""
    now = datetime.now(UTC)
    moment = replicas.moment_of(at, now)
    state = replicas.choose(replicas.list_states(source), moment, now)
    return Replicated(source, state, replicas.exact_time(source, state))


def restore(order: restoring.Order, replicated: Replicated, report: Report) -> restoring.Restored:
    """Fetches the state beside the database, and restores it from there as a backup without a manifest.

    Raises what `restoring.restore` does.
    """
    beside = order.keys if is_url(order.database) else Path(order.database).resolve()
    if not beside.parent.is_dir():
        raise BackupError(f"There is no folder {beside.parent}")
    try:
        with work_folder(beside.with_name(f"{beside.name}.replica.part"), "Another restore is running") as work:
            file = work / "state"
            report("fetching", 0, 0)
            replicas.fetch(replicated.source, replicated.state, file)
            return restoring.restore(replace(order, backup=file, checked=False), report)
    except OSError as error:
        raise DatabaseError(f"The restore failed: {error.strerror}") from error
