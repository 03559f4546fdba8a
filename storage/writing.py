"""What belongs to a write: its check, its author, and savepoints."""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar, copy_context
from typing import Any, Protocol, TypeVar

from postroom.storage.audit.record import Author
from postroom.storage.engine import Connection

T = TypeVar("T")

#: Of whoever writes: a request's caller, or (None) somebody who needs to be asked for nothing.
WRITE_CHECK: ContextVar["WriteCheck | None"] = ContextVar("WRITE_CHECK", default=None)


def _service() -> Author:
    return Author("service")


#: Tells who writes, for the record of changes; unless somebody says otherwise, the service by itself. It is asked for
#: each write, before it waits for its turn.
AUTHOR: ContextVar[Callable[[], Author]] = ContextVar("AUTHOR", default=_service)


class WriteCheck(Protocol):
    """Stands before every write that is asked for in a context: see WRITE_CHECK."""

    def __call__(self, connection: Connection) -> None:
        """Called inside the write's transaction, before its function. What it raises is the outcome of the write."""

    def of_task(self) -> "WriteCheck":
        """The check of work that goes on when what has started it has ended."""


def act_as(**who: Any) -> None:
    """Changes these fields of the author of what is written from now on in this context."""
    author = AUTHOR.get()()._replace(**who)
    AUTHOR.set(lambda: author)


def act_as_service() -> None:
    """From now on in this context, the service writes by itself."""
    AUTHOR.set(_service)


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


class Write:
    """A function that writes, with what was known of its caller when it was asked for.

    It runs in the context of the caller, so what it logs on the thread of the writer has the ID of the request.
    """

    __slots__ = ("_check", "_context", "_function", "author", "once")

    def __init__(self, function: Callable[..., Any], *, once: bool = False) -> None:
        #: Whether it must not be called a second time after it was undone.
        self.once = once
        self.author = AUTHOR.get()()
        self._check = WRITE_CHECK.get()
        self._function = function
        self._context = copy_context()

    def __call__(self, connection: Connection, *args: object) -> Any:
        """The result of the function, if the check has nothing against it."""
        return self._context.run(self._run, connection, args)

    def _run(self, connection: Connection, args: tuple[object, ...]) -> Any:
        if self._check is not None:
            self._check(connection)
        return self._function(connection, *args)
