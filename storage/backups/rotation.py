"""Which backups are kept: the newest of each of so many days, weeks and months."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from postroom.storage.backups.folder import Backup, is_named_for, own_backups, remove

#: Unit -> the same text for all moments of one day, week (of ISO 8601) or month, of UTC.
_PERIODS: Final = {"h": "%Y-%m-%dT%H", "d": "%Y-%m-%d", "w": "%G-W%V", "m": "%Y-%m", "y": "%Y"}


def kept(times: Sequence[datetime], keep: Mapping[str, int]) -> set[datetime]:
    """The times that are kept. Only periods with a backup count, so a pause deletes nothing. The newest always is."""
    found = set(sorted(times)[-1:])
    for unit, number in keep.items():
        newest: dict[str, datetime] = {}
        for when in sorted(times):
            newest[when.strftime(_PERIODS[unit])] = when
        found |= set(list(newest.values())[-number:])
    return found


def surplus(backups: Sequence[Backup], keep: Mapping[str, int]) -> list[Backup]:
    """The backups that are not kept. One that is damaged takes no other's place, and stays while any is as old."""
    times = [_when(found) for found in backups if not found.fault]
    wanted = kept(times, keep)
    return [
        found
        for found in backups
        if wanted and _when(found) not in wanted and (not found.fault or _when(found) < min(wanted))
    ]


def _when(backup: Backup) -> datetime:
    return datetime.min.replace(tzinfo=UTC) if backup.manifest is None else backup.manifest.when


def rotate(folder: Path, database: str, keep: Mapping[str, int]) -> list[Path]:
    """Removes a database's backups that are not kept; returns their names. OSError.

    A copy that a person has made under another name stays.
    """
    own = [found for found in own_backups(folder, database) if is_named_for(found.path, database)]
    removed = [found.path for found in surplus(own, keep)]
    for path in removed:
        remove(path)
    return removed
