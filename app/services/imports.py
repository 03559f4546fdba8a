"""Imports records: loads them, hashes passwords, stores them in batches, and tells what was refused.

A record is stored completely or not at all. What refers to users who may come later follows at the end, for all records
that were stored, and is refused by itself.
"""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any, Final, TypeVar

import orjson

from postroom.app.auth.api_tokens import hash_of as hash_of_token
from postroom.app.errors import InvalidError, PostroomError
from postroom.app.services.api_tokens import expiry
from postroom.app.services.context import Context
from postroom.app.services.seeds import given_hash
from postroom.app.transactions.imports import Importer, Later
from postroom.app.transactions.records import Moment
from postroom.schemas.values.users import STATUS_NORMAL
from postroom.storage.engine import Connection
from postroom.storage.faults import IntegrityError, is_unavailable
from postroom.storage.integrity import rule_of
from postroom.storage.seeds import is_empty
from postroom.storage.writing import savepoint, undone

T = TypeVar("T")

#: Records that are read together, and seconds after which a transaction begins no further one: other writers wait.
_BATCH: Final = 200
_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Given:
    """A record as it comes from a source."""

    kind: str
    #: Makes its data, or raises InvalidError.
    load: Callable[[], Mapping[str, Any]]
    #: What the source needs to say where it is.
    origin: Any


@dataclass(slots=True)
class _Item:
    given: Given
    data: Mapping[str, Any]
    #: See Importer.add().
    secret: Any = None
    #: A password that is to be hashed.
    plain: str | None = None
    error: Exception | None = None
    later: Sequence[Later] = ()


#: A record that was refused, or what was due later.
Refused = Given | Later
#: Told of it, and why.
Refuse = Callable[[Refused, Sequence[str]], None]
#: Told how many records are done.
Report = Callable[[int], object]


class Import:
    """One import, and its numbers."""

    def __init__(self, context: Context, refuse: Refuse, report: Report) -> None:
        self._context = context
        self._refuse = refuse
        self._report = report
        #: By kind.
        self.stored: Counter[str] = Counter()
        self.refused = 0
        #: Mailboxes that nobody can log in to, because no password was given.
        self.without_password = 0
        #: Whether a trial is to end before the end of its records.
        self._is_stopped = False

    async def run(self, records: Iterator[Given]) -> None:
        """Stores all of them. Raises DatabaseError, and whatever else ends it early: all is told of what was read."""
        importer = Importer(self._moment(), keep=await self._context.database.read(is_empty))
        with tempfile.TemporaryFile() as due:
            try:
                while items := await asyncio.to_thread(self._next, records):
                    await self._hash(items)
                    while items:
                        items = await _to_its_end(self._store_some(importer, items, due))
            finally:
                # Also after an interruption: whoever gives the rest again does not give this.
                await _to_its_end(self._finish(importer, due))

    async def try_out(self, records: Iterator[Given]) -> None:
        """Tries all of them in one transaction that is undone; nobody else can write meanwhile.

        Raises DatabaseError.
        """
        try:
            await self._context.database.write_once(self._try_in, records)
        except asyncio.CancelledError:
            # The writer would go on to the end of the file, and let nobody else write.
            self._is_stopped = True
            raise

    def _try_in(self, connection: Connection, records: Iterator[Given]) -> None:
        importer = Importer(self._moment(), keep=is_empty(connection))
        with undone(connection), tempfile.TemporaryFile() as due:
            while not self._is_stopped and (items := self._next(records)):
                for item in items:
                    self._add(connection, importer, item)
                self._count(items, due)
            for later in _read(due):
                if self._is_stopped:
                    return
                self._finish_one(connection, importer, later)

    def _moment(self) -> Moment:
        context = self._context
        return Moment(context.now(), context.config.timezone, context.clock.unix())

    def _next(self, records: Iterator[Given]) -> list[_Item]:
        return [self._loaded(given) for given in islice(records, _BATCH)]

    def _loaded(self, given: Given) -> _Item:
        item = _Item(given, {})
        config = self._context.config
        try:
            item.data = given.load()
            if given.kind == "user":
                item.secret, item.plain = given_hash(item.data, config.password_min_length)
            elif given.kind == "token":
                expires = expiry(item.data, self._context.clock.unix(), config.timezone)
                item.secret = item.data.get("tokenHash") or hash_of_token(item.data["token"]), expires
        except InvalidError as error:
            item.error = error
        return item

    async def _hash(self, items: Sequence[_Item]) -> None:
        """Hashes passwords before any transaction: there is only one writer."""
        plain = [item for item in items if item.plain is not None and item.error is None]
        hashes = await asyncio.gather(*(self._context.passwords.hash(item.plain or "") for item in plain))
        for item, hashed in zip(plain, hashes, strict=True):
            item.secret = hashed

    async def _store_some(self, importer: Importer, items: list[_Item], due: IO[bytes]) -> list[_Item]:
        """Stores some in one transaction; returns the others."""
        done = await self._context.database.write_once(self._add_some, importer, items)
        self._count(items[:done], due)
        return items[done:]

    def _add_some(self, connection: Connection, importer: Importer, items: Sequence[_Item]) -> int:
        until = time.monotonic() + _SECONDS
        for done, item in enumerate(items, 1):
            self._add(connection, importer, item)
            if time.monotonic() > until:
                return done
        return len(items)

    def _add(self, connection: Connection, importer: Importer, item: _Item) -> None:
        if item.error is not None:
            return
        try:
            with savepoint(connection):
                item.later = importer.add(connection, item.given.kind, item.data, item.secret)
        except Exception as error:
            # A failure of the database is no record's fault, and may have ended the transaction.
            if is_unavailable(error) or not connection.in_transaction:
                raise
            item.error = error

    async def _finish(self, importer: Importer, due: IO[bytes]) -> None:
        found = _read(due)
        while batch := [*islice(found, _BATCH)]:
            await self._context.database.write_once(self._finish_some, importer, batch)

    def _finish_some(self, connection: Connection, importer: Importer, batch: Sequence[Later]) -> None:
        for later in batch:
            self._finish_one(connection, importer, later)

    def _finish_one(self, connection: Connection, importer: Importer, later: Later) -> None:
        try:
            with savepoint(connection):
                importer.finish(connection, later)
        except PostroomError as error:
            self.refused += 1
            self._refuse(later, _reasons(error))

    def _count(self, items: Sequence[_Item], due: IO[bytes]) -> None:
        for item in items:
            if item.error is not None:
                self.refused += 1
                self._refuse(item.given, _reasons(item.error))
                continue
            self.stored[item.given.kind] += 1
            self.without_password += _lacks_password(item)
            for later in item.later:
                due.write(orjson.dumps(tuple(later), option=orjson.OPT_APPEND_NEWLINE))
        self._report(self.stored.total() + self.refused)


async def _to_its_end(step: Coroutine[Any, Any, T]) -> T:
    """The result of what is done to its end also when this task is cancelled meanwhile."""
    task = asyncio.create_task(step)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


def _read(due: IO[bytes]) -> Iterator[Later]:
    due.seek(0)
    for line in due:
        yield Later(*orjson.loads(line))


def _lacks_password(item: _Item) -> bool:
    data = item.data
    is_mailbox = item.given.kind == "user" and data.get("status", STATUS_NORMAL) == STATUS_NORMAL
    return is_mailbox and data.get("ldapID") is None and item.secret is None and item.plain is None


def _reasons(error: Exception) -> Sequence[str]:
    if isinstance(error, PostroomError):
        return error.errors or [error.message]
    if isinstance(error, IntegrityError):
        field, reason = rule_of(error)
        return [f"{field}: {reason}" if field else reason]
    raise error
