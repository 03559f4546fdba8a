"""What a repair works with: transactions of the one writer, beside whatever else uses the database."""

from collections.abc import Callable
from typing import Protocol, TypeVar, TypeVarTuple

from postroom.storage.engine import Connection

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Store(Protocol):
    """A database that is repaired."""

    def read(self, function: Callable[[Connection], T]) -> T:
        """The result of a function that reads."""

    def write(self, function: Callable[[Connection, *Ts], T], *args: *Ts) -> T:
        """Runs a function as one transaction; its result is on disk."""


def in_one(function: Callable[[Connection], object]) -> Callable[[Store], object]:
    """The repair that is one transaction."""
    return lambda store: store.write(function)
