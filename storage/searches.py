"""What may take its time: searches, lists, and reads of several statements, on readers of their own.

A statement is stopped as soon as nobody waits for it: its caller has hung up, or its deadline is over. SQLite asks for
that again and again while it works. `sqlite3.Connection.interrupt` would stop whatever has the connection by then.

Every search begins on one reader, where none goes on for longer than a moment. What is not done by then begins again on
one of the others, so whoever asks for something quick never waits for what others have asked for that is slow.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, TypeVarTuple

from postroom.storage import engine
from postroom.storage.faults import CrowdedError, DatabaseError, LargeAnswerError, SlowSearchError
from postroom.storage.generation import Generation
from postroom.storage.spelling import pair
from postroom.storage.sqlite import sqlite3

Ts = TypeVarTuple("Ts")
T = TypeVar("T")
#: Runs a statement with its values.
Fetch = Callable[[Any, str, Sequence[object]], Any]

#: Sessions of a database for searches and lists.
READERS = 3
#: Seconds that a search may take, waiting for its turn included.
SEARCH_TIMEOUT = 5.0
#: Seconds that a search may go on where it begins.
QUICK = 0.1
#: Searches of one caller that are worked on at a time, and how many of them beyond that moment: fewer than there are
#: readers for these, so that one is left for others.
RUNNING = 2
SLOW = 1
#: Searches of one caller that are under way, those that wait for their turn included.
IN_FLIGHT = 100
#: Characters of the documents on one page: SQLite builds it in one piece.
LARGEST_PAGE = 64 * 1024 * 1024
#: Documents that are put together without being measured, because so few cannot be too much.
FEW = 100
#: Steps of SQLite's virtual machine between two questions whether to go on: some milliseconds. Each of them needs the
#: interpreter, which the event loop may just have.
_STEPS = 100_000


class OverdueError(Exception):
    """A search has taken all the seconds that it has on this reader."""


#: A server builds its pages outside of this process.
_MEASURED = pair("group_concat(iif(is_room(length(document)), document, NULL))", "group_concat(document)")


def gathered(limit: int | None) -> str:
    """SQL that joins the documents of a page of so many (None: of all) with commas, for a search."""
    if limit is not None and limit <= FEW:
        return "group_concat(document)"
    return _MEASURED


class Turn:
    """What is asked of a reader; `over` once nobody waits for it any more, or after so many seconds on it."""

    __slots__ = ("begun", "over", "seconds", "until")

    def __init__(self, seconds: float | None = None) -> None:
        self.begun = False
        self.over = False
        self.seconds = seconds
        self.until: float | None = None

    def begin(self) -> None:
        """From now on the seconds count."""
        self.begun = True
        self.until = None if self.seconds is None else time.monotonic() + self.seconds

    def is_overdue(self) -> bool:
        """Whether they are over."""
        return self.until is not None and time.monotonic() > self.until


class Reader:
    """A connection that does one thing after the other, and nothing for those who have gone."""

    def __init__(self, connection: engine.Session, raw: sqlite3.Connection, generation: Generation) -> None:
        self.connection = connection
        self._generation = generation
        self._turn: Turn | None = None
        # Each is written by one thread only, so neither needs a lock.
        self._asked = self._done = 0
        self._closed = False
        #: Characters that there is still room for on the page that is being made.
        self._room = LARGEST_PAGE
        raw.set_progress_handler(self._is_over, _STEPS)
        raw.create_function("is_room", 1, self._is_room)

    @property
    def pending(self) -> int:
        """How much it has to do; that includes what still runs for somebody who has gone."""
        return self._asked - self._done

    async def run(self, turn: Turn, function: Callable[[sqlite3.Connection, *Ts], T], *args: *Ts) -> T:
        """The result of `function(connection, *args)`. When the caller is cancelled, it is stopped or never begins."""
        if self._closed:
            raise DatabaseError("The database is closed")
        self._asked += 1
        try:
            result: T = await self.connection.run(self._run, turn, function, args)
        finally:
            turn.over = True
        return result

    async def close(self) -> None:
        """Stops what it does, and ends it."""
        self._closed = True
        await self.connection.close()

    def _run(self, connection: sqlite3.Connection, turn: Turn, function: Callable[..., Any], args: Any) -> Any:
        try:
            if turn.over:
                return None
            turn.begin()
            self._turn = turn
            self._room = LARGEST_PAGE
            self._generation.look(connection)
            return function(connection, *args)
        except sqlite3.OperationalError:
            if self._closed:
                raise DatabaseError("The database is closed") from None
            if self._room < 0:
                raise LargeAnswerError("This is too much for one answer; ask for fewer entries at a time") from None
            if turn.is_overdue():
                raise OverdueError from None
            raise
        finally:
            self._turn = None
            self._done += 1

    def _is_room(self, length: int) -> bool:
        self._room -= length
        if self._room < 0:
            raise LargeAnswerError  # ends the statement
        return True

    def _is_over(self) -> bool:
        turn = self._turn
        return self._closed or (turn is not None and (turn.over or turn.is_overdue()))


class _Own:
    """The searches of one caller."""

    __slots__ = ("in_flight", "running", "slow")

    def __init__(self) -> None:
        self.in_flight = 0
        self.running = asyncio.Semaphore(RUNNING)
        self.slow = asyncio.Semaphore(SLOW)


class Searches:
    """Readers that callers share fairly: each has a few searches on them at a time, for `seconds` each.

    The first is the one on which searches begin.
    """

    def __init__(self, readers: Sequence[engine.Reader], seconds: float) -> None:
        self.readers = readers
        self._seconds = seconds
        self._callers: dict[object, _Own] = {}

    async def run(self, function: Callable[[engine.Connection, *Ts], T], *args: *Ts) -> T:
        """The result of `function(connection, *args)` on the reader that has least to do, however long it takes."""
        result: T = await _least_busy(self.readers).run(Turn(), function, *args)
        return result

    async def search(self, caller: object, fetch: Fetch, sql: str, params: Sequence[object]) -> Any:
        """What `fetch` finds with a statement, for a caller (any key, such as an ID).

        Raises SlowSearchError, CrowdedError, LargeAnswerError.
        """
        own = self._callers.get(caller)
        if own is None:
            own = self._callers[caller] = _Own()
        if own.in_flight >= IN_FLIGHT:
            raise CrowdedError(f"You have {IN_FLIGHT} searches under way already; wait for some of them")
        own.in_flight += 1
        turn = Turn()
        try:
            async with asyncio.timeout(self._seconds), own.running:
                try:
                    return await self.readers[0].run(Turn(QUICK), fetch, sql, params)
                except OverdueError:
                    async with own.slow:
                        return await _least_busy(self.readers[1:]).run(turn, fetch, sql, params)
        except TimeoutError:
            raise self._too_slow(turn) from None
        finally:
            own.in_flight -= 1
            if not own.in_flight:
                del self._callers[caller]

    def _too_slow(self, turn: Turn) -> Exception:
        if turn.begun:
            return SlowSearchError(
                f"This took longer than {self._seconds:g} seconds and was stopped; ask for something narrower, with "
                "fewer or longer words, or for fewer entries at a time"
            )
        return CrowdedError(f"Other searches had not ended after {self._seconds:g} seconds; try again later")


def _least_busy(readers: Sequence[engine.Reader]) -> engine.Reader:
    return min(readers, key=lambda reader: reader.pending)


def fetch_row(connection: engine.Connection, sql: str, params: Sequence[object]) -> Any:
    """The first row, or None."""
    return connection.execute(sql, params).fetchone()


def fetch_value(connection: engine.Connection, sql: str, params: Sequence[object]) -> Any:
    """The first column of the first row, or None when there is no row."""
    row = fetch_row(connection, sql, params)
    return row[0] if row else None


def fetch_all(connection: engine.Connection, sql: str, params: Sequence[object]) -> list[Any]:
    """All rows, as tuples."""
    return connection.execute(sql, params).fetchall()
