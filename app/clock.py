"""The time of the service, in one place, so that a server of a test can have another."""

import time
from datetime import datetime, tzinfo


def time_text(moment: datetime) -> str:
    """A time in the format of the API."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")


class Clock:
    """The time of this machine."""

    def now(self) -> float:
        """UNIX time."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back, for waits that people notice."""
        return time.monotonic()

    def unix(self) -> int:
        """UNIX time in whole seconds, as rows keep it."""
        return int(self.now())

    def local(self, timezone: tzinfo) -> datetime:
        """The time in a time zone."""
        return datetime.fromtimestamp(self.now(), timezone)

    def text(self, timezone: tzinfo) -> str:
        """The same in the format of the API."""
        return time_text(self.local(timezone))
