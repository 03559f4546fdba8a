"""What long answers keep in memory until their clients have taken them, within bounds for each caller and in all."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from postroom.storage.faults import CrowdedError

#: Bytes that all callers hold together.
MOST: Final = 64 * 1024 * 1024
#: Bytes that one caller holds, unless it is for a single answer.
MOST_EACH: Final = MOST // 4


class Held:
    """Bytes that callers (any keys, such as IDs) hold."""

    def __init__(self) -> None:
        self._callers: dict[object, int] = {}

    @contextmanager
    def hold(self, caller: object, size: int) -> Iterator[None]:
        """Counts so many bytes for as long as the block runs. Raises CrowdedError when there is no room for them."""
        own = self._callers.get(caller, 0)
        if own and own + size > MOST_EACH:
            raise CrowdedError("You are reading long lists already; try again when one of them has arrived")
        if sum(self._callers.values()) + size > MOST:
            raise CrowdedError("Too many long lists are being read at the moment; try again later")
        self._callers[caller] = own + size
        try:
            yield
        finally:
            left = self._callers.pop(caller, 0) - size
            if left > 0:
                self._callers[caller] = left
