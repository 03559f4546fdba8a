"""What a move needs of the two databases, whatever engine is behind them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from postroom.storage.faults import WrongDatabaseError
from postroom.storage.keyring import Keyring

#: A row in the form that both engines have in common: texts, whole numbers, and None.
Row = tuple[str | int | None, ...]


class MoveError(WrongDatabaseError):
    """The move is refused: trying again does not help. Nothing was written."""


class UnfitRowError(Exception):
    """A row cannot be stored here. The text has the reason."""

    def __init__(self, row: Row, reason: str) -> None:
        super().__init__(reason)
        self.row = row


class Source(Protocol):
    """A database that nobody writes to while it is open here. What it raises is a DatabaseError that names it."""

    #: For people.
    name: str

    @property
    def identity(self) -> object:
        """What is the same when two names lead to the same database."""

    def columns(self, table: str) -> list[str]:
        """The columns of a table."""

    def batches(self, sql: str, size: int) -> Iterator[Sequence[Row]]:
        """The rows of a statement, in lists of that size. One statement at a time."""

    def last_id(self, table: str) -> int:
        """The largest ID that a table of KEPT_IDS has ever given; 0: none."""

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """`function(connection, *args)` on the connection."""


class Target(Source, Protocol):
    """A new database. Until `commit()` has returned, nothing of it exists for anybody else."""

    def begin(self) -> None:
        """Makes the schema. Raises MoveError when there is anything already."""

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Stores rows. No trigger changes anything. UnfitRowError."""

    def complete(self, last_ids: dict[str, int]) -> None:
        """Makes sure that every reference leads somewhere, and that IDs go on behind the last ones."""

    def commit(self) -> None:
        """Makes it a database for everybody. UncertainError."""


class Engine(Protocol):
    """Opens what a move needs."""

    def open_source(self, name: str, keyring: Keyring) -> AbstractContextManager[Source]:
        """The database, with its write lock. Raises DatabaseError, WrongDatabaseError."""

    def open_target(self, name: str) -> AbstractContextManager[Target]:
        """The database that is to be made. At the end of the block nothing is left of one that is not complete."""
