"""What is remembered of the past in a bounded way."""

from collections.abc import Hashable
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def remember(memory: dict[K, V], key: K, value: V, most: int) -> None:
    """Puts the value last; the ones put longest ago make room, so that there are at most so many.

    Not all at once, or everything would have to be found out anew at the same time.
    """
    memory.pop(key, None)
    while len(memory) >= most:
        del memory[next(iter(memory))]
    memory[key] = value
