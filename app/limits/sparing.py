"""Lines of the log that would come again and again are written once in a while."""

import time

#: Seconds in which the same is not said twice.
SPAN = 60.0


class Sparing:
    """Knows what was said lately. Kinds are few: the result codes of SQLite, not its texts."""

    def __init__(self) -> None:
        #: kind -> (when it was said last, how often it happened since)
        self._said: dict[object, tuple[float, int]] = {}

    def due(self, kind: object) -> int | None:
        """How often this has happened since it was said last; None when it need not be said again yet."""
        now = time.monotonic()
        said, since = self._said.get(kind, (-SPAN, 0))
        if now - said < SPAN:
            self._said[kind] = said, since + 1
            return None
        self._said[kind] = now, 0
        return since
