"""What belongs to a write: its check, and savepoints."""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Protocol, TypeVar

from postroom.storage.engine import Connection

T = TypeVar("T")

#: Of whoever writes: a request's caller, or (None) somebody who needs to be asked for nothing.
WRITE_CHECK: ContextVar["WriteCheck | None"] = ContextVar("WRITE_CHECK", default=None)


class WriteCheck(Protocol):
    """Stands before every write that is asked for in a context: see WRITE_CHECK."""

    def __call__(self, connection: Connection) -> None:
        """Called inside the write's transaction, before its function. What it raises is the outcome of the write."""

    def of_task(self) -> "WriteCheck":
        """The check of work that goes on when what has started it has ended."""


@contextlib.contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """Undoes what is done inside when that raises; the rest of the transaction goes on."""
    connection.execute("SAVEPOINT part")
    try:
        yield
    except BaseException:
        # After a full disk or an I/O error SQLite has rolled back all by itself; the reason must not get lost over it.
        if connection.in_transaction:
            connection.execute("ROLLBACK TO part")
            connection.execute("RELEASE part")
        raise
    connection.execute("RELEASE part")


@contextlib.contextmanager
def undone(connection: Connection) -> Iterator[None]:
    """Undoes what is done inside, whatever comes of it; the rest of the transaction goes on."""
    connection.execute("SAVEPOINT part")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK TO part")
            connection.execute("RELEASE part")


def run_checked(check: WriteCheck, function: Callable[..., T], connection: Connection, *args: object) -> T:
    check(connection)
    return function(connection, *args)
