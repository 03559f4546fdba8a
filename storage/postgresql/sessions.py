"""Sessions on threads of their own, and the reads that they do together."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar, TypeVarTuple

import psycopg

from postroom.storage.faults import DatabaseError
from postroom.storage.generation import SELECT_GENERATION, Generation
from postroom.storage.lanes import Job, Outcomes, run_reads
from postroom.storage.postgresql.connection import Connection, of_read
from postroom.storage.postgresql.faults import LostConnectionError
from postroom.storage.postgresql.translation import translated
from postroom.storage.searches import OverdueError, Turn, fetch_row, fetch_value

Ts = TypeVarTuple("Ts")
T = TypeVar("T")

#: Seconds after an attempt to connect that failed, before the next one.
RECONNECT_AFTER: Final = 0.25


class Session:
    """A session that runs functions on its thread, one after the other. It connects anew when the connection is lost.

    A function that has not begun to write runs again then, once: nothing of it can have been stored.
    """

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self.connection: Connection | None = None
        self._executor = ThreadPoolExecutor(1, "postgresql")
        #: Why there was no way to the server, and when.
        self._refused: tuple[str, float] | None = None

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """`function(connection, *args)` in one hop. Raises DatabaseError when there is no way to the server."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._run, function, args)

    async def close(self) -> None:
        """Ends the session. Twice is fine."""
        await asyncio.to_thread(self._executor.shutdown)
        self._forget()

    def _forget(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()

    def _run(self, function: Callable[..., T], args: tuple[Any, ...]) -> T:
        connection = self._connected()
        try:
            return function(connection, *args)
        except LostConnectionError:
            if connection.has_begun:
                raise
        return function(self._connected(), *args)

    def _connected(self) -> Connection:
        if self.connection is not None and not self.connection.is_lost:
            return self.connection
        # Those who have waited for an attempt that failed do not wait for another one each.
        if self._refused is not None and time.monotonic() - self._refused[1] < RECONNECT_AFTER:
            raise DatabaseError(self._refused[0])
        self._forget()
        try:
            self.connection = self._connect()
            self.connection.set_up()
        except DatabaseError as error:
            self._forget()
            self._refused = str(error), time.monotonic()
            raise
        return self.connection


def run_together(connection: Connection, batch: list[Job], generation: Generation) -> Outcomes:
    """The reads of a batch, with a look at the generation before them, in one round trip if they are all plain."""
    if all(job.function in (fetch_value, fetch_row) for job in batch):
        mark = generation.mark()
        asked, wholes = [job.args for job in batch], [job.function is fetch_row for job in batch]
        try:
            with connection.awaiting(), connection.raw.pipeline():
                first = connection.raw.execute(SELECT_GENERATION)
                cursors = [connection.raw.execute(translated(sql), of_read(params)) for sql, params in asked]
            ((value,),) = first.fetchall()
            rows = [cursor.fetchone() for cursor in cursors]
        except psycopg.Error:
            # One of them has failed: each is asked by itself, so that nobody else is told of it.
            pass
        else:
            generation.learn(value, mark)
            return [(row if whole or row is None else row[0], None) for row, whole in zip(rows, wholes, strict=True)]
    generation.look(connection)
    return run_reads(connection, batch)


class Reader:
    """A session for searches: see storage/searches.py. The server is told to stop what nobody waits for any more."""

    def __init__(self, session: Session, generation: Generation | None) -> None:
        self._session = session
        #: None on a replica, which does not know the current one.
        self._generation = generation
        self._turn: Turn | None = None
        #: Held while a statement is being stopped, so that it cannot be the next one that is hit.
        self._lock = threading.Lock()
        self._asked = self._done = 0
        self._closed = False

    @property
    def pending(self) -> int:
        """How much it has to do."""
        return self._asked - self._done

    async def run(self, turn: Turn, function: Callable[[Any, *Ts], T], *args: *Ts) -> T:
        """The result of `function(connection, *args)`. When the caller is cancelled, it is stopped or never begins."""
        if self._closed:
            raise DatabaseError("The database is closed")
        self._asked += 1
        try:
            result: T = await self._session.run(self._run, turn, function, args)
        except asyncio.CancelledError:
            turn.over = True
            asyncio.get_running_loop().run_in_executor(None, self._stop, turn)
            raise
        finally:
            turn.over = True
        return result

    async def close(self) -> None:
        """Stops what it does, and ends it."""
        self._closed = True
        await asyncio.to_thread(self._stop, self._turn)
        await self._session.close()

    def _run(self, connection: Connection, turn: Turn, function: Callable[..., Any], args: Any) -> Any:
        try:
            if turn.over:
                return None
            turn.begin()
            self._turn = turn
            connection.limit(turn.seconds)
            if self._generation is not None:
                self._generation.look(connection)
            return function(connection, *args)
        except DatabaseError as error:
            if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
                if turn.seconds is not None and not turn.over:
                    raise OverdueError from None
                if self._closed:
                    raise DatabaseError("The database is closed") from None
            raise
        finally:
            with self._lock:
                self._turn = None
            self._done += 1

    def _stop(self, turn: Turn | None) -> None:
        with self._lock:
            connection = self._session.connection
            if turn is not None and self._turn is turn and connection is not None:
                # What a server does not answer to, the watchdog ends.
                with contextlib.suppress(psycopg.Error):
                    connection.raw.cancel_safe(timeout=5)
