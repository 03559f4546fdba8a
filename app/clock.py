"""The time of the service. Nothing else reads it, so that a server of a test can have another."""

import time
from datetime import datetime, tzinfo


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
        return self.local(timezone).strftime("%Y-%m-%d %H:%M:%S")
