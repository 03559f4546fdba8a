"""A dictionary with a bounded number of entries."""

from collections.abc import Hashable
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def remember(memory: dict[K, V], key: K, value: V, most: int) -> None:
    """Adds the entry as the newest; drops the oldest ones, so that at most `most` entries remain.

    It does not clear everything at once, or all callers would have to look everything up again at the same time.
    """
    memory.pop(key, None)
    while len(memory) >= most:
        del memory[next(iter(memory))]
    memory[key] = value
