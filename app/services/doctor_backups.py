"""Checks of the backups that the service takes on its schedule."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from postroom.app.clock import Clock, time_text
from postroom.app.config import Config
from postroom.storage.backups import folder
from postroom.storage.checks.findings import Check, State, UnexaminedError

_GROUP: Final = "Backups"


def _find_old_backups(config: Config) -> Iterator[str]:
    place = _folder(config)
    newest = folder.newest(place, config.database)
    # One more interval than there should be: a backup takes its time, and the machine may have been off.
    every = config.backup_every if isinstance(config.backup_every, timedelta) else timedelta(days=1)
    if newest is None:
        yield f"{place} has none of this database"
    elif Clock().local(config.timezone) - newest.when > 2 * every:
        yield f"the newest in {place} is of {time_text(newest.when.astimezone(config.timezone))}"


def _find_damaged_backups(config: Config) -> Iterator[str]:
    for backup in folder.list_backups(_folder(config)):
        if backup.fault:
            yield f"{backup.path}: {backup.fault}"


def _folder(config: Config) -> Path:
    if config.backup_folder is None:
        raise UnexaminedError("there is no schedule, because POSTROOM_BACKUP_FOLDER is not set")
    return Path(config.backup_folder)


CHECKS: Final = (
    Check(
        _GROUP,
        "newest backup",
        promise="There is a backup of the last time that one was due",
        fault="reasons to take a backup now",
        find=_find_old_backups,
        advice="See why in backup.error of GET /status or in the log, and take one now: postroom backup",
        state=State.WARNING,
    ),
    Check(
        _GROUP,
        "usable backups",
        promise="Every backup has the size and the manifest that it should have",
        fault="backups that cannot be restored",
        find=_find_damaged_backups,
        advice="Delete them, and find out what has damaged them. postroom backup verify reads all of one",
        state=State.WARNING,
    ),
)
