"""Takes backups on a schedule. Of several processes on a database, one takes each."""

import asyncio
import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Final, TypeVar

from postroom.app.clock import time_text
from postroom.app.config import Config
from postroom.app.services.rounds import Count, keep_doing, uncounted
from postroom.storage import auth
from postroom.storage.backups import copying, folder, rotation, taking
from postroom.storage.backups.manifest import BackupError, Manifest
from postroom.storage.backups.settling import FAILURE
from postroom.storage.backups.work import BusyError
from postroom.storage.database import Database
from postroom.storage.engine import Connection
from postroom.storage.faults import DatabaseError

T = TypeVar("T")

log = logging.getLogger("postroom.backups")

#: Seconds between two looks whether a backup is due.
LOOK: Final = 30.0
#: Until a backup that has failed is tried again; sooner when they are more frequent than that.
RETRY: Final = timedelta(minutes=15)


class _NotDueError(Exception):
    """Another process has just taken it."""


class _StoppedError(Exception):
    """The service stops."""


class Backups:
    """The schedule of this process."""

    def __init__(self, database: Database, config: Config, count: Count = uncounted) -> None:
        #: Whether there is a schedule.
        self.wanted = config.backup_folder is not None
        self._database = database
        self._config = config
        self._folder = Path(config.backup_folder or ".")
        # A thread of its own, which lets others go first, and may hang with the disk of the folder.
        self._thread = ThreadPoolExecutor(1, "backups", initializer=copying.be_modest) if self.wanted else None
        self._newest: Manifest | None = None
        #: When the last attempt failed, and why; the database has it, too, unless it cannot be written.
        self._failure: tuple[datetime, str] | None = None
        self._stopping = False
        self._count = count
        self._running: asyncio.Task[None] | None = None

    @property
    def newest(self) -> Manifest | None:
        """The newest backup as of the last look."""
        return self._newest

    def start(self) -> None:
        """Begins to take backups, if there is a schedule."""
        if self.wanted:
            self._running = asyncio.create_task(keep_doing("backups", LOOK, self.look, self._count))

    async def close(self) -> None:
        """Ends a backup that is being taken; nothing is left of it."""
        self._stopping = True
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        if self._thread is not None:
            await asyncio.to_thread(self._thread.shutdown)

    async def state(self) -> dict[str, object]:
        """The newest backup as of the last look, and why the last attempt failed, in the format of the API."""
        failure = await self._last_failure()
        newest, now = self._newest, datetime.now(UTC)
        if failure is not None and newest is not None and newest.when > failure[0]:
            failure = None
        return {
            "time": None if newest is None else time_text(newest.when.astimezone(self._config.timezone)),
            "age": None if newest is None else max(0, int((now - newest.when).total_seconds())),
            "error": None if failure is None else failure[1],
        }

    async def look(self) -> None:
        """Takes a backup if one is due."""
        failure = await self._last_failure()
        if failure is not None and datetime.now(UTC) - failure[0] < self._patience():
            return
        try:
            self._newest = await self._in_thread(self._find_newest)
            if not self._is_due():
                return
            taken = await self._in_thread(self._take)
        except (_NotDueError, _StoppedError, BusyError):
            return
        except (BackupError, DatabaseError, OSError) as error:
            await self._failed(error)
            return
        self._newest = taken.manifest
        log.info("Backup: %s (%d users, %d bytes)", taken.path, taken.manifest.users, taken.manifest.size)
        await self._succeeded()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _find_newest(self) -> Manifest | None:
        return folder.newest(self._folder, self._config.database)

    def _is_due(self) -> bool:
        last = None if self._newest is None else self._newest.when
        return is_due(self._config.backup_every, last, datetime.now(UTC), self._config.timezone)

    def _take(self) -> taking.Taken:
        order = taking.Order(self._config.database, self._folder, self._config.key_file, claimed=True)
        taken = taking.take(order, self._report, self._agree)
        for path in rotation.rotate(self._folder, self._config.database, self._config.backup_keep):
            log.info("Removed the backup %s", path)
        return taken

    def _report(self, _what: str, _done: int, _total: int) -> None:
        if self._stopping:
            raise _StoppedError

    def _agree(self) -> None:
        self._newest = self._find_newest()
        if not self._is_due():
            raise _NotDueError

    def _patience(self) -> timedelta:
        every = self._config.backup_every
        return min(RETRY, every) if isinstance(every, timedelta) else RETRY

    async def _last_failure(self) -> tuple[datetime, str] | None:
        """Of whatever process."""
        stored = await auth.select_setting(self._database, FAILURE)
        if stored is None:
            return self._failure
        found = json.loads(stored)
        failure = datetime.fromisoformat(found["time"]), found["reason"]
        return failure if self._failure is None else max(failure, self._failure)

    async def _failed(self, error: Exception) -> None:
        reason = f"{error.filename or ''}: {error.strerror}" if isinstance(error, OSError) else str(error)
        log.error(
            "The scheduled backup to %s failed, and is tried again in %d minutes: %s. To try it by hand: postroom "
            "backup %s", self._folder, self._patience().total_seconds() // 60, reason, self._folder,
        )  # fmt: skip
        now = datetime.now(UTC)
        self._failure = (now, reason)
        await self._database.write(auth.set_setting, FAILURE, json.dumps({"time": now.isoformat(), "reason": reason}))

    async def _succeeded(self) -> None:
        self._failure = None
        if await auth.select_setting(self._database, FAILURE) is not None:
            await self._database.write(_forget_failure)


def _forget_failure(connection: Connection) -> None:
    auth.delete_setting(connection, FAILURE)


def is_due(every: timedelta | time, last: datetime | None, now: datetime, timezone: tzinfo) -> bool:
    """Whether a backup is due. One that was missed is due at once."""
    if last is None:
        return True
    if isinstance(every, timedelta):
        return now - last >= every
    today = datetime.combine(now.astimezone(timezone).date(), every, timezone)
    latest = today if today <= now else datetime.combine(today.date() - timedelta(days=1), every, timezone)
    return last < latest
