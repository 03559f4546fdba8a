"""The states in a replica of Litestream, and fetching one.

Litestream looks at the write-ahead log every few milliseconds and stores what is new as a numbered state. Restoring by
its own option -timestamp is not exact: it takes files that were merged from many states by the time of the first of
them. So a state is chosen by its time here, and fetched by its number; for as long as any second is to be restored,
single states are kept.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from postroom.storage.backups import litestream
from postroom.storage.backups.manifest import BackupError

#: Where the time of a state is in its file, in milliseconds (https://github.com/superfly/ltx).
_TIME_AT: Final = 32


@dataclass(frozen=True, slots=True, order=True)
class State:
    """A state in a replica. `time`: when Litestream found it, without the fraction of the second."""

    number: int
    time: datetime
    #: The name of its file.
    file: str


def list_states(source: str) -> list[State]:
    """The single states in a replica, the oldest first. BackupError."""
    if "://" not in source and not Path(source).is_dir():
        raise BackupError(f"There is no folder {source}")
    answer = litestream.run("ltx", "-json", "-level", "0", _url(source))
    try:
        found = [_state(each) for each in json.loads(answer) or []]
    except (ValueError, KeyError, TypeError):
        raise BackupError(f"Litestream lists the replica {source} in an unknown form; version 0.5 is needed") from None
    if not found:
        raise BackupError(f"There is no replica of Litestream in {source}")
    return sorted(found)


def _state(entry: dict[str, Any]) -> State:
    first, last = entry["min_txid"], entry["max_txid"]
    time = datetime.fromisoformat(entry["timestamp"]).astimezone(UTC).replace(microsecond=0)
    return State(int(last, 16), time, f"{first}-{last}.ltx")


def choose(states: Sequence[State], moment: datetime | None, now: datetime) -> State:
    """The last state before a moment, a whole second; without one, the last of all. BackupError."""
    if moment is None:
        return states[-1]
    first, last = states[0].time, states[-1].time
    if moment > now:
        raise BackupError(f"{_text(moment)} is in the future")
    if moment <= first:
        raise BackupError(f"{_text(moment)} is too early: the replica has every state since {_text(first)}")
    if moment > last + timedelta(seconds=1):
        raise BackupError(
            f"{_text(moment)} is too late: nothing was replicated after {_text(last)}. "
            "If nothing was changed since then, restore that: --at latest"
        )
    # A fraction of a second is cut off, and the moment has none: so this is exact.
    return [state for state in states if state.time < moment][-1]


def exact_time(source: str, state: State) -> datetime:
    """When Litestream found a state: with milliseconds if the replica is a folder."""
    try:
        with (Path(source) / "ltx" / "0" / state.file).open("rb") as file:
            file.seek(_TIME_AT)
            milliseconds = int.from_bytes(file.read(8), "big")
        found = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OSError, OverflowError, ValueError):
        return state.time
    return found if found.replace(microsecond=0) == state.time else state.time


def fetch(source: str, state: State, file: Path) -> None:
    """Writes the database in a state. BackupError."""
    litestream.run("restore", "-txid", f"{state.number:016x}", "-o", str(file), _url(source))
    file.chmod(0o600)


def _url(source: str) -> str:
    return source if "://" in source else f"file://{Path(source).absolute()}"


_AGO: Final = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment_of(text: str, now: datetime) -> datetime | None:
    """A time with its zone, or how long ago (10m), as a whole second of UTC; None for `latest`. BackupError."""
    if text == "latest":
        return None
    ago = _AGO.fullmatch(text)
    try:
        if ago is not None:
            return (now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})).replace(microsecond=0)
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        moment = None
    if moment is None or moment.tzinfo is None or moment.microsecond:
        raise BackupError(
            f"{text!r} is no time to restore: a whole second with its zone (2026-01-31T12:00:00Z, "
            "2026-01-31T13:00:00+01:00), how long ago (90s, 10m, 2h, 3d), or latest"
        )
    return moment.astimezone(UTC)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
