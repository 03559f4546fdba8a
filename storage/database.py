"""Reading and writing the database: which kind of question goes where.

- `look_up`: accounts, logins, settings, the watch. A reader of its own; those who ask at the same time share a hop.
- `fetch_by_key`, `fetch_row_by_key`: what a key finds. The same on another reader.
- `search`: lists, and whatever else a client can make wider. Three readers, few turns at a time for each caller, and a
  deadline.
- `read`, `fetch_all`, `fetch_row`, `fetch_value`: work of our own, in bounded pieces. The same three readers.
- `write`: the one writer.

Writes are plain functions that get the one writing connection; those that wait at the same time share one commit, and
each caller is answered only after that commit is on disk. When one of them fails, all are undone and run once more,
each in a savepoint of its own; `write_once` is for what must not run twice.

A write runs from beginning to end on the writer's thread, so a cancelled caller cannot leave half of it behind:
either it has not begun, and then it never does, or it is committed as a whole.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, TypeVarTuple, cast

from postroom.storage.engine import Connection, Parts, Writer
from postroom.storage.faults import DatabaseError, EngineError, of_commit
from postroom.storage.finishing import finish
from postroom.storage.held import Held
from postroom.storage.lanes import Job, Lane, Outcomes
from postroom.storage.opening import open_parts
from postroom.storage.outdated import Outdated
from postroom.storage.searches import SEARCH_TIMEOUT, Fetch, fetch_all, fetch_row, fetch_value
from postroom.storage.together import Together
from postroom.storage.writing import Write

Ts = TypeVarTuple("Ts")
T = TypeVar("T")


class Database:
    """One open database: `open()`, then what the table above has, then `close()`."""

    def __init__(self, parts: Parts) -> None:
        #: What stores the data, for people.
        self.engine = parts.name
        self.matching = parts.matching
        self.generation = parts.generation
        #: UNIX time, for the record of changes: that of this machine, unless a test has another.
        self.now: Callable[[], float] = time.time
        #: Called on the thread of the writer after each commit: how many writes shared it, and its seconds.
        self.note_write: Callable[[int, float], object] = lambda _writes, _seconds: None
        self._parts = parts
        self._place = parts.place
        self._outdated = Outdated(parts.schema)
        self._writes = Lane(parts.writer, self._run_writes)
        self._together = Together()
        self._look_ups, self._keyed_reads = (
            Lane(session, parts.run_reads) for session in (parts.look_ups, parts.keyed_reads)
        )
        self._searches = parts.searches
        self._closed = False
        self.held = Held()

    @classmethod
    async def open(
        cls,
        path: str,
        *,
        create: bool = True,
        key_file: str | None = None,
        unlock: bool = True,
        search_timeout: float = SEARCH_TIMEOUT,
        replicas: Sequence[str] = (),
    ) -> "Database":
        """Opens a file, `:memory:` or the URL of a PostgreSQL database; makes the schema or brings it up to date.

        Raises DatabaseError when it cannot be used: unwritable, not a database; WrongDatabaseError when it was made by
        a newer version. Without `create` nothing is made or brought up to date, since a service may be running on it:
        NoDatabaseError when there is no such file, WrongDatabaseError when it is of an older version, too.

        The keys of stored secrets are in `key_file`, or else `<path>.key`; WrongDatabaseError when it cannot be used,
        unless they are not to be unlocked. `replicas`: URLs of servers that follow the PostgreSQL server; searches are
        asked there.
        """
        return cls(
            await open_parts(path, key_file, replicas, create=create, unlock=unlock, search_timeout=search_timeout)
        )

    async def look_up(self, sql: str, params: Sequence[object] = ()) -> Any:
        """The row of an account or a setting, or None: what decides who somebody is and what they may do.

        Nothing that anybody can make slow, or ask for in numbers without a login, may be asked here.
        """
        return await self.look_up_by(fetch_row, sql, params)

    async def look_up_by(self, function: Callable[[Any, *Ts], T], *args: *Ts) -> T:
        """The result of `function(connection, *args)` under the same conditions."""
        self._check_usable()
        result: T = await self._look_ups.run(function, args)
        return result

    async def fetch_by_key(self, sql: str, params: Sequence[object]) -> Any:
        """The first column of the row that a statement finds by key, None when there is none.

        Statements that come at the same time share a hop to a reader of their own, so that no search is in their way;
        nothing slower than a look-up by key may be asked here.
        """
        self._check_usable()
        return await self._keyed_reads.run(fetch_value, (sql, params))

    async def fetch_row_by_key(self, sql: str, params: Sequence[object]) -> Any:
        """The whole row, or None, under the same conditions."""
        self._check_usable()
        return await self._keyed_reads.run(fetch_row, (sql, params))

    async def search(
        self, caller: object, sql: str, params: Sequence[object] = (), *, fetch: Fetch = fetch_value
    ) -> Any:
        """The first column of the first row, None without one. `caller` is whoever asks: the ID of a user.

        Raises SearchError when it takes too long, finds too much, or the caller asks for too much at the same time.
        """
        self._check_usable()
        return await self._searches.search(caller, fetch, sql, params)

    async def read(self, function: Callable[[Any, *Ts], T], *args: *Ts) -> T:
        """The result of `function(connection, *args)` on a reader, for what takes several statements."""
        self._check_usable()
        return await self._searches.run(function, *args)

    async def fetch_all(self, sql: str, params: Sequence[object] = ()) -> list[Any]:
        """All rows of a statement, as tuples."""
        return await self.read(fetch_all, sql, params)

    async def fetch_row(self, sql: str, params: Sequence[object] = ()) -> Any:
        """The first row, or None."""
        return await self.read(fetch_row, sql, params)

    async def fetch_value(self, sql: str, params: Sequence[object] = ()) -> Any:
        """The first column of the first row, or None when there is no row."""
        return await self.read(fetch_value, sql, params)

    async def write(self, function: Callable[[Any, *Ts], T], *args: *Ts) -> T:
        """Runs `function(connection, *args)` as one transaction and returns its result once it is on disk.

        What it has changed is recorded in the same transaction, as the work of AUTHOR.

        What the function raises rolls back what it did, and nothing else, and is raised here; so is what WRITE_CHECK
        has against it. DatabaseError when the commit itself failed, TransactionError when that was a fault of ours:
        then nothing was stored. UncertainError when it may have been stored all the same, LostDatabaseError when it
        went into a file that nobody will find, or a newer program has migrated the database.
        """
        result: T = await self._write(Write(function), *args)
        return result

    async def write_once(self, function: Callable[[Any, *Ts], T], *args: *Ts) -> T:
        """The same for a function that changes more than the database, and so is never called a second time."""
        result: T = await self._write(Write(function, once=True), *args)
        return result

    @property
    def waiting_writes(self) -> int:
        """How many writes wait for the writer."""
        return self._writes.waiting

    async def check(self) -> None:
        """Looks for the file, and learns what other processes have changed; raises what stands in the way.

        LostDatabaseError also when a newer program has migrated the database, and this one cannot go on.
        """
        await self._look_ups.run(self._look, ())

    async def close(self) -> None:
        """Finishes what was accepted, stops searches, and closes every connection. Twice is fine."""
        if self._closed:
            return
        self._closed = True
        for lane in (self._writes, self._look_ups, self._keyed_reads):
            await lane.drain()
        for reader in self._searches.readers:
            await reader.close()
        for session in (self._parts.look_ups, self._parts.keyed_reads):
            await session.close()
        with contextlib.suppress(EngineError, DatabaseError):
            await self._parts.writer.run(self._parts.finish)
        await self._parts.writer.close()
        self._parts.release()

    async def _write(self, write: Write, *args: object) -> Any:
        if self._closed:
            raise DatabaseError("The database is closed")
        self._outdated.check()
        return await self._writes.run(write, args)

    def _check_usable(self) -> None:
        self._place.check()
        self._outdated.check()

    def _look(self, connection: Connection) -> None:
        # The generation has been looked at for the batch.
        self._place.look()
        self._outdated.look(connection)

    def _commit(self, connection: Connection) -> None:
        try:
            connection.execute("COMMIT")
        except EngineError as error:
            raise of_commit(error) from error

    def _run_writes(self, connection: Writer, batch: list[Job]) -> Outcomes:
        self._place.look()
        mark = self.generation.mark()
        try:
            connection.execute("BEGIN IMMEDIATE")
            outcomes = self._together.run(connection, batch)
            if len(batch) == 1 and outcomes[0][1] is not None:
                connection.execute("ROLLBACK")
                self._place.look()
                return outcomes
            generation = finish(
                connection, self._outdated, [cast(Write, job.function).author for job in batch], self.now()
            )
            began = time.perf_counter()
            self._commit(connection)
            self.note_write(len(outcomes), time.perf_counter() - began)
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        # Known before anybody is answered, so that what was revoked is revoked from then on.
        self.generation.learn(generation, mark)
        # The commit went into the file that was opened. If that is lost, nobody is told that anything was stored.
        self._place.look()
        return outcomes
