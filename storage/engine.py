"""What the functions of storage/ and app/transactions/ need of a database connection, whatever engine is behind it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol


class Rows(Protocol):
    """The result of a statement."""

    @property
    def rowcount(self) -> int:
        """How many rows an INSERT, UPDATE or DELETE has changed."""

    def fetchone(self) -> Any:
        """The next row as a tuple, or None."""

    def fetchall(self) -> list[Any]:
        """All other rows."""

    def __iter__(self) -> Iterator[Any]:
        """The same, one by one."""


class Connection(Protocol):
    """A connection inside a transaction, or one that reads."""

    @property
    def in_transaction(self) -> bool:
        """Whether there is still a transaction: after some failures the engine has ended it by itself."""

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows:
        """Runs one statement with its values."""

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Rows:
        """Runs one statement for each of several lists of values."""
