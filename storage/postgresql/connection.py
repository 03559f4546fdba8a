"""A session with PostgreSQL that the functions of storage/ and app/transactions/ can use like one with SQLite."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus

from postroom.storage.keyring import Keyring
from postroom.storage.postgresql.faults import told
from postroom.storage.postgresql.translation import translated

#: The key of the lock that a transaction which writes holds to its end, whichever node it runs on: rules that hold
#: because writes come one after the other hold on a cluster as well. Any number will do that nobody else uses.
WRITE_LOCK: Final = 0x706F_7374_726F_6F6D  # "postroom"

#: What stands for NUL in the parameters of a read: PostgreSQL stores no text with NUL, so nothing is found either way.
_NUL: Final = (("\x00", "\ufffd"), ("\\u0000", "\\ufffd"))

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

    def __init__(self, raw: psycopg.Connection[Any], keyring: Keyring) -> None:
        self.raw = raw
        self.keyring = keyring
        self._deferred: list[str] = []
        #: Whether a transaction that writes has begun on it: from then on it is not known what has been stored when the
        #: connection is lost.
        self.has_begun = False
        self._limit: float | None = None

    @property
    def in_transaction(self) -> bool:
        """Whether there is still a transaction: with the connection it ends."""
        return self.raw.info.transaction_status in (
            TransactionStatus.INTRANS, TransactionStatus.INERROR, TransactionStatus.ACTIVE
        )  # fmt: skip

    @property
    def is_lost(self) -> bool:
        """Whether the connection has ended."""
        return self.raw.closed or self.raw.broken

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Any:
        """Runs one statement in the words of SQLite with its values."""
        if sql.startswith(_DEFERRED):
            self._deferred.append(sql)
            return _Nothing()
        if sql == "BEGIN IMMEDIATE":
            self.has_begun = False
            result = self._send(_BEGIN, ())
            self.has_begun = True
            return result
        text = translated(sql)
        if text.startswith("SELECT"):
            parameters = of_read(parameters)
        return self._send((*self._taken(), text), parameters)

    def limit(self, seconds: float | None) -> None:
        """From the next statement on, each may take so long; None: as long as any."""
        if seconds != self._limit:
            self._limit = seconds
            value = "DEFAULT" if seconds is None else str(int(seconds * 1000))
            self._deferred.append(f"SET statement_timeout = {value}")

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Any:
        """Runs one statement for each of several lists of values, in one round trip."""
        cursor = self.raw.cursor()
        try:
            for each in self._taken():
                self.raw.execute(each)
            cursor.executemany(translated(sql), parameters)
        except psycopg.Error as error:
            raise told(error) from error
        return cursor

    def _send(self, statements: Sequence[str], parameters: Sequence[Any]) -> Any:
        """The result of the last of these; the values are for that one. All are sent in one round trip."""
        try:
            if any(each.startswith("ROLLBACK") for each in statements):
                # After a rollback psycopg forgets what it has prepared, but in a pipeline only when it is too late.
                for each in statements[:-1]:
                    self.raw.execute(each)
                return self.raw.execute(statements[-1], parameters)
            if len(statements) == 1:
                return self.raw.execute(statements[0], parameters)
            with self.raw.pipeline():
                for each in statements[:-1]:
                    self.raw.execute(each)
                return self.raw.execute(statements[-1], parameters)
        except psycopg.Error as error:
            raise told(error) from error

    def _taken(self) -> list[str]:
        taken, self._deferred = self._deferred, []
        return taken


def of_read(parameters: Sequence[Any]) -> list[Any]:
    """The parameters of a statement that reads, without NUL."""
    return [_without_nul(value) if isinstance(value, str) else value for value in parameters]


def _without_nul(text: str) -> str:
    for nul, other in _NUL:
        if nul in text:
            text = text.replace(nul, other)
    return text
