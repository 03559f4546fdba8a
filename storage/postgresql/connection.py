"""A session with PostgreSQL that the functions of storage/ and app/transactions/ can use like one with SQLite."""

import contextlib
import os
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus

from postroom.storage.audit.record import FORGET
from postroom.storage.faults import UncertainError
from postroom.storage.keyring import Keyring
from postroom.storage.postgresql.faults import LostConnectionError, told
from postroom.storage.postgresql.translation import translated

#: The key of the lock that a transaction which writes holds to its end, whichever node it runs on: rules that hold
#: because writes come one after the other hold on a cluster as well. Any number will do that nobody else uses.
WRITE_LOCK: Final = 0x706F_7374_726F_6F6D  # "postroom"

#: What stands for NUL in the parameters of a read: PostgreSQL stores no text with NUL, so nothing is found either way.
_NUL: Final = (("\x00", "\ufffd"), ("\\u0000", "\\ufffd"))

#: Seconds that the server has for a commit, which may wait for a standby, and for anything else: more than its own
#: limits (opening.py), so these are only reached when it does not keep them.
COMMIT_TIMEOUT: Final = 20.0
ANSWER_TIMEOUT: Final = 65.0

_BEGIN: Final = ("BEGIN", f"SELECT pg_advisory_xact_lock({WRITE_LOCK})")
#: What needs no round trip of its own: it is sent along with the next statement.
_DEFERRED: Final = ("SAVEPOINT ", "RELEASE ")


class _Nothing:
    """The result of a statement that has none."""

    rowcount = -1

    def fetchone(self) -> Any:
        return None

    def fetchall(self) -> list[Any]:
        return []

    def __iter__(self) -> Iterator[Any]:
        return iter(())


class Connection:
    """One session; see storage/engine.py. What it raises is what `faults.told` makes of psycopg's exceptions."""

    def __init__(
        self, raw: psycopg.Connection[Any], keyring: Keyring, settings: Sequence[str], server: dict[str, Any]
    ) -> None:
        self.raw = raw
        self.keyring = keyring
        #: What psycopg needs to reach the same server once more.
        self.server = server
        self._settings = settings
        self._deferred: list[str] = []
        self._job = 0
        #: Whether a transaction that writes has begun on it: from then on it is not known what has been stored when the
        #: connection is lost.
        self.has_begun = False
        self._limit: float | None = None
        #: Since when it waits for the server, and how long it may; None while it does not.
        self.waiting: tuple[float, float] | None = None
        #: The same socket once more: psycopg's own number may belong to something else by the time it is used.
        self._wire = socket.socket(fileno=os.dup(raw.fileno()))
        self._warned = False
        raw.add_notice_handler(self._hear)

    @property
    def in_transaction(self) -> bool:
        """Whether there is still a transaction: with the connection it ends."""
        return self.raw.info.transaction_status in (
            TransactionStatus.INTRANS, TransactionStatus.INERROR, TransactionStatus.ACTIVE
        )  # fmt: skip

    @property
    def job(self) -> int:
        """Which of several writes that share a transaction goes on."""
        return self._job

    @job.setter
    def job(self, number: int) -> None:
        self._job = number
        if number:  # it is 0 until it is set
            self._deferred.append(f"SET LOCAL postroom.job = {number}")

    @property
    def address(self) -> object:
        """Which server it is."""
        return self.server["host"], self.server["port"]

    @property
    def is_lost(self) -> bool:
        """Whether the connection has ended."""
        return self.raw.closed or self.raw.broken

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Any:
        """Runs one statement in the words of SQLite with its values."""
        if sql == FORGET or sql.startswith(_DEFERRED):
            self._deferred.append(sql)
            return _Nothing()
        if sql == "BEGIN IMMEDIATE":
            self.has_begun = False
            result = self._send(_BEGIN, ())
            self.has_begun = True
            return result
        if sql == "COMMIT":
            return self._commit()
        text = translated(sql)
        if text.startswith("SELECT"):
            parameters = of_read(parameters)
        return self._send((*self._taken(), text), parameters)

    def set_up(self) -> None:
        """Has to be called first."""
        self._send(self._settings, ())

    def _commit(self) -> Any:
        self._warned = False
        try:
            result = self._send((*self._taken(), "COMMIT"), (), COMMIT_TIMEOUT)
        except LostConnectionError as error:
            raise UncertainError from error
        if self._warned:
            # Stored here, but not where a synchronous standby should have stored it as well: it would be lost with
            # this server.
            self.close()
            raise UncertainError
        return result

    def _hear(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        self._warned = self._warned or diagnostic.severity_nonlocalized == "WARNING"

    def cut(self) -> None:
        """Ends the connection from another thread, whatever it waits for: that fails as if the server had ended it."""
        with contextlib.suppress(OSError):
            self._wire.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Ends the connection. Twice is fine."""
        self.raw.close()
        self._wire.close()

    def limit(self, seconds: float | None) -> None:
        """From the next statement on, each may take so long; None: as long as any."""
        if seconds != self._limit:
            self._limit = seconds
            value = "DEFAULT" if seconds is None else str(int(seconds * 1000))
            self._deferred.append(f"SET statement_timeout = {value}")

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Any:
        """Runs one statement for each of several lists of values, in one round trip."""
        cursor = self.raw.cursor()
        with _told(), self.awaiting():
            for each in self._taken():
                self.raw.execute(each)
            cursor.executemany(translated(sql), parameters)
        return cursor

    @contextlib.contextmanager
    def awaiting(self, seconds: float = ANSWER_TIMEOUT) -> Iterator[None]:
        """Waits for the server inside the block, for so long at most: the watchdog sees to that."""
        self.waiting = time.monotonic(), seconds
        try:
            yield
        finally:
            self.waiting = None

    def _send(self, statements: Sequence[str], parameters: Sequence[Any], seconds: float = ANSWER_TIMEOUT) -> Any:
        """The result of the last of these; the values are for that one. All are sent in one round trip."""
        *before, last = statements
        # After a rollback psycopg forgets what it has prepared, but in a pipeline only when it is too late.
        is_pipeline = bool(before) and not any(each.startswith("ROLLBACK") for each in statements)
        with _told(), self.awaiting(seconds), self.raw.pipeline() if is_pipeline else contextlib.nullcontext():
            for each in before:
                self.raw.execute(each)
            return self.raw.execute(last, parameters)

    def _taken(self) -> list[str]:
        taken, self._deferred = self._deferred, []
        return taken


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Exceptions that the rest of postroom knows, instead of psycopg's."""
    try:
        yield
    except psycopg.Error as error:
        raise told(error) from error


def of_read(parameters: Sequence[Any]) -> list[Any]:
    """The parameters of a statement that reads, without NUL."""
    return [_without_nul(value) if isinstance(value, str) else value for value in parameters]


def _without_nul(text: str) -> str:
    for nul, other in _NUL:
        if nul in text:
            text = text.replace(nul, other)
    return text
