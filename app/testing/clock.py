"""The clock of a server of a test: it can stand still, be moved, and run at another speed."""

import time
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, NamedTuple

from postroom.app.clock import Clock
from postroom.testing.errors import HarnessError

#: A moment: a datetime, or a text such as `2026-12-24 08:00:00`. Without a time zone it is in that of the server.
Moment = datetime | str


class _State(NamedTuple):
    """How the clock went on from a moment of the machine's."""

    #: Seconds of `time.monotonic()`.
    since: float
    #: What the clock has shown then: UNIX time, and seconds that never go back.
    shown: float
    passed: float
    #: Seconds of the clock in a second; 0: it stands still.
    factor: float


class MovableClock(Clock):
    """Begins with the time of the machine, or stands still at a given moment. May be used from any thread."""

    def __init__(self, timezone: tzinfo, at: Moment | None = None) -> None:
        self._timezone = timezone
        self._at = at
        self._state = _State(0, 0, 0, 0)
        self.reset()

    def reset(self) -> None:
        """As at the beginning."""
        now = time.monotonic()
        if self._at is None:
            self._state = _State(now, time.time(), now, 1)
        else:
            self._state = _State(now, self._seconds(self._at), now, 0)

    @property
    def beginning(self) -> Moment | None:
        """The moment at which it stands still at first; None: it runs."""
        return self._at

    def anew(self) -> "MovableClock":
        """Another one that begins like this one."""
        return MovableClock(self._timezone, self._at)

    @property
    def factor(self) -> float:
        """Its seconds in a second of the machine; 0 while it stands still."""
        return self._state.factor

    def now(self) -> float:
        """UNIX time."""
        since, shown, _, factor = self._state
        return shown + factor * (time.monotonic() - since)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        since, _, passed, factor = self._state
        return passed + factor * (time.monotonic() - since)

    def freeze(self, at: Moment | None = None) -> None:
        """Stands still from now on, at the present moment or another one."""
        shown = None if at is None else self._seconds(at)
        self._change(factor=0)
        if shown is not None:
            self._turn_to(shown)

    def set(self, at: Moment) -> None:
        """Turns to a moment, and goes on from there as before; back only while it stands still. Raises HarnessError."""
        self._turn_to(self._seconds(at))

    def move(self, by: timedelta | float) -> None:
        """Turns forward by a timedelta or by seconds; back only while it stands still. Raises HarnessError."""
        seconds = by.total_seconds() if isinstance(by, timedelta) else by
        self._turn_to(_in_range(self.now() + seconds))

    def run(self, factor: float = 1) -> None:
        """Runs from now on, by default as fast as the machine's. Raises HarnessError unless the factor is above 0."""
        if not 0 < factor < float("inf"):
            raise HarnessError(f"A clock cannot run at {factor} times its speed; freeze() lets it stand still")
        self._change(factor=factor)

    def _turn_to(self, shown: float) -> None:
        now, factor = self.now(), self._state.factor
        if shown < now and factor:
            raise HarnessError(
                f"The clock runs, and cannot be turned back from {_text(now)} to {_text(shown)}; freeze() it first"
            )
        self._change(factor=factor, shown=shown, further=max(shown - now, 0))

    def _change(self, *, factor: float, shown: float | None = None, further: float = 0) -> None:
        now = self.now() if shown is None else shown
        self._state = _State(time.monotonic(), now, self.monotonic() + further, factor)

    def _seconds(self, at: Moment) -> float:
        if isinstance(at, str):
            try:
                at = datetime.fromisoformat(at)
            except ValueError:
                raise HarnessError(f"{at!r} is no moment: write it as in '2026-12-24 08:00:00'") from None
        return _in_range((at if at.tzinfo is not None else at.replace(tzinfo=self._timezone)).timestamp())


#: Where the times end that a year with four digits can say, in any time zone.
_END: Final = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


def _in_range(seconds: float) -> float:
    if not 0 <= seconds < _END:
        raise HarnessError("The clock goes from 1970 to 9998, and cannot be turned further")
    return seconds


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "seconds")
