"""Repairs: transactions of the one writer, beside whatever else uses the database."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeVar, TypeVarTuple

from postroom.storage.checks.findings import Check, Finding, State
from postroom.storage.checks.snapshots import snapshot
from postroom.storage.database import Database
from postroom.storage.engine import Connection
from postroom.storage.faults import DatabaseError, EngineError, TransactionError

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Store(Protocol):
    """A database that is repaired."""

    def read(self, function: Callable[[Connection], T]) -> T:
        """The result of a function that reads, of one moment."""

    def write(self, function: Callable[[Connection, *Ts], T], *args: *Ts) -> T:
        """The result of a function that is one transaction; what it has changed is on disk."""


def in_one(function: Callable[[Connection], object]) -> Callable[[Store], object]:
    """The repair that is one transaction."""
    return lambda store: store.write(function)


#: Opens a connection that reads. A new one each time: SQLite's search index may remember what it was before a repair.
OpenReading = Callable[[], AbstractContextManager[Any]]


class _OpenStore:
    def __init__(self, database: Database, runner: asyncio.Runner, reading: OpenReading) -> None:
        self._database = database
        self._runner = runner
        self._reading = reading

    def read(self, function: Callable[[Any], T]) -> T:
        with self._reading() as connection, snapshot(connection):
            return function(connection)

    def write(self, function: Callable[[Any, *Ts], T], *args: *Ts) -> T:
        return self._runner.run(self._database.write(function, *args))


@contextmanager
def opened(name: str, key_file: str | None, reading: OpenReading) -> Iterator[Store]:
    """The database, to repair it. Raises DatabaseError."""
    with asyncio.Runner() as runner:
        database = runner.run(Database.open(name, create=False, key_file=key_file, unlock=False))
        try:
            yield _OpenStore(database, runner, reading)
        finally:
            runner.run(database.close())


def repaired(check: Check[T], before: Finding, subject: object, examine: Callable[[], Finding]) -> Finding:
    """What is found after the repair of what a check has found before."""
    if before.state is State.OK or check.repair is None:
        return before
    try:
        check.repair(subject)
    except (EngineError, DatabaseError, TransactionError, OSError) as error:
        return replace(before, advice=f"The repair failed ({error}). {before.advice}")
    after = examine()
    return replace(after, repaired=max(before.count - after.count, 0))


def examined(checks: Sequence[Check[T]], subject: T, *, repair: bool) -> list[Finding]:
    """The findings about something that is no database."""
    findings = []
    for check in checks:
        found = check.examine(subject)
        findings.append(repaired(check, found, subject, partial(check.examine, subject)) if repair else found)
    return findings
