"""Checks of the machine: room on its disk, open files, the settings."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from postroom.app.config import Config, list_unknown
from postroom.app.limits.clients import DescriptorsError, limits_of, raise_descriptor_limit
from postroom.storage.checks.files import Files
from postroom.storage.checks.findings import Check, State
from postroom.storage.keyring import key_file_of
from postroom.storage.urls import is_url

_MIB: Final = 1024 * 1024
#: Below this, the next writes may fail.
FULL: Final = 64 * _MIB
#: A log that is larger, and larger than the database, cannot be written into the database.
_LARGE_LOG: Final = 64 * _MIB


def files_of(config: Config) -> Files:
    """The files of the configured database."""
    return Files(config.database, key_file_of(config.database, config.key_file), _list_mounts)


def _list_mounts() -> Sequence[tuple[str, str]]:
    # Not at the top: only this needs it.
    import psutil

    return [(each.mountpoint, each.fstype) for each in psutil.disk_partitions(all=True)]


def _find_full_disks(config: Config) -> Iterator[str]:
    for path in _folders(config):
        free = shutil.disk_usage(path).free
        if free < FULL:
            yield f"{path}: {_mib(free)} free"


def _find_small_disks(config: Config) -> Iterator[str]:
    if not is_url(config.database):
        path = Path(config.database).resolve()
        needed, free = _size(path) + _size(_log(path)), shutil.disk_usage(path.parent).free
        if free < needed:
            yield f"{path.parent}: {_mib(free)} free, and database and log have {_mib(needed)}"


def _find_large_logs(config: Config) -> Iterator[str]:
    if not is_url(config.database):
        path = Path(config.database).resolve()
        if _size(_log(path)) > max(_size(path), _LARGE_LOG):
            yield f"{_log(path)}: {_mib(_size(_log(path)))}"


def _folders(config: Config) -> list[Path]:
    paths = [key_file_of(config.database, config.key_file), *([] if is_url(config.database) else [config.database])]
    return sorted({Path(path).resolve().parent for path in paths})


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _mib(size: int) -> str:
    return f"{size / _MIB:,.0f} MiB"


def _find_missing_descriptors(config: Config) -> Iterator[str]:
    try:
        limits_of(config, raise_descriptor_limit())
    except DescriptorsError as error:
        yield str(error)


def _find_unknown_settings(_config: Config) -> Iterator[str]:
    yield from list_unknown()


CHECKS: Final[Sequence[Check[Config]]] = (
    Check(
        "Machine",
        "full disk",
        promise="There is room to write",
        fault="full file systems",
        find=_find_full_disks,
        advice="Make room: without it every change fails",
    ),
    Check(
        "Machine",
        "disk space",
        promise="There is room for a copy of the database",
        fault="file systems without room for a copy of the database",
        find=_find_small_disks,
        advice="Make room: the service copies the database before an upgrade changes it, and does not start without it",
        state=State.WARNING,
    ),
    Check(
        "Machine",
        "log",
        promise="The log of the database is written into it",
        fault="logs larger than their database",
        find=_find_large_logs,
        advice="Something reads the database without an end, such as a program that was suspended: end it. A restart "
        "of the service makes the log smaller",
        state=State.WARNING,
    ),
    Check(
        "Machine",
        "open files",
        promise="There may be as many open files as connections need",
        fault="limits that are too low",
        find=_find_missing_descriptors,
        advice="Raise it where the service is started: here it is that of this command",
        state=State.WARNING,
    ),
    Check(
        "Machine",
        "unknown settings",
        promise="Every POSTROOM_ variable is a setting",
        fault="variables that are no setting",
        find=_find_unknown_settings,
        advice="Look for a misspelt name: what it should set has its default",
        state=State.WARNING,
    ),
)
