"""What the functions of storage/ and app/transactions/ need of a database connection, whatever engine is behind it."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from postroom.storage.generation import Generation
    from postroom.storage.lanes import Job, Outcomes
    from postroom.storage.searches import Searches, Turn

#: (columns, folded words) -> the condition on `user_search x` that each of the words is somewhere in these columns, and
#: its values.
Matching = Callable[[Sequence[str], Sequence[str]], tuple[str, tuple[object, ...]]]


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


class Writer(Connection, Protocol):
    """The connection that writes."""

    #: Which of the writes that share a transaction goes on: their changes are noted under this number.
    job: int


class Session(Protocol):
    """A connection with a thread of its own."""

    def run(self, function: Callable[..., Any], *args: Any) -> Awaitable[Any]:
        """`function(connection, *args)` on that thread, after what was asked before."""

    async def close(self) -> None:
        """Ends it."""


class Reader(Protocol):
    """A session for searches."""

    @property
    def pending(self) -> int:
        """How much it has to do; that includes what still runs for somebody who has gone."""

    def run(self, turn: "Turn", function: Callable[..., Any], *args: Any) -> Awaitable[Any]:
        """The result of `function(connection, *args)`. When the caller is cancelled, it is stopped or never begins.

        Raises searches.OverdueError when it takes longer than the turn has seconds.
        """

    async def close(self) -> None:
        """Stops what it does, and ends it."""


class Place(Protocol):
    """Where the data is."""

    def look(self) -> None:
        """Looks whether it is still there, from any thread. Raises LostDatabaseError."""

    def check(self) -> None:
        """Raises LostDatabaseError when the last look has shown that it is not."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What an engine opens for a `Database`."""

    #: Name and version, for people.
    name: str
    #: The schema that this program knows.
    schema: int
    writer: Session
    look_ups: Session
    keyed_reads: Session
    searches: "Searches"
    place: Place
    generation: "Generation"
    run_reads: "Callable[[Any, list[Job]], Outcomes]"
    matching: Matching
    #: The last that the writer does.
    finish: Callable[[Any], object]
    #: Called when everything is closed.
    release: Callable[[], object]
