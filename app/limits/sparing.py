"""Limits how often the same line is logged."""

import time

#: Seconds between two log lines of the same kind.
SPAN = 60.0


class Sparing:
    """Remembers when each kind of line was last logged. Kinds must be few: SQLite's result codes, not its texts."""

    def __init__(self) -> None:
        #: kind -> (when it was last logged, how often it has happened since)
        self._said: dict[object, tuple[float, int]] = {}

    def due(self, kind: object) -> int | None:
        """How often this has happened since it was last logged; None when it should not be logged again yet."""
        now = time.monotonic()
        said, since = self._said.get(kind, (-SPAN, 0))
        if now - said < SPAN:
            self._said[kind] = said, since + 1
            return None
        self._said[kind] = now, 0
        return since
