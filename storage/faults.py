"""What can go wrong with the database, and how that is told from a fault of postroom itself."""

from postroom.storage.keyring import KeyFileError
from postroom.storage.sqlite import sqlite3

#: What a connection raises: anything, a failure of the engine while it works, and a broken rule of the schema.
EngineError = sqlite3.Error
OperationalError = sqlite3.OperationalError
IntegrityError = sqlite3.IntegrityError


class DatabaseError(Exception):
    """The database cannot be opened or a commit failed; the text is fit for a person at the command line."""


class NoDatabaseError(DatabaseError):
    """There is no such file, and it was not to be made."""


class WrongDatabaseError(DatabaseError):
    """The file is of another version, of something else, or without its key file: trying again does not help."""


class LostDatabaseError(DatabaseError):
    """The file is no longer where it was opened, or this program is too old for what has become of it.

    The text names no path: it is fit for an answer.
    """


class UncertainError(DatabaseError):
    """A commit failed in such a way that nobody knows whether it was stored."""

    def __init__(self, text: str = "The connection to the database was lost during a commit") -> None:
        super().__init__(text)


class SearchError(Exception):
    """A search was not done. The text is fit for an answer."""


class SlowSearchError(SearchError):
    """It took too long and was stopped."""


class CrowdedError(SearchError):
    """Its caller has too many searches under way, or it did not get its turn in time: the same may work later."""


class LargeAnswerError(SearchError):
    """What it found is too large for one answer."""


class TransactionError(Exception):
    """A transaction could not begin or end for a reason that is a fault of postroom; `__cause__` has it."""


#: Primary result codes of SQLite for what lies outside of the statement: the file, the disk, or who else uses it.
_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOLFS,
        sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB,
    }
)  # fmt: skip


def primary_code(error: BaseException) -> int | None:
    """SQLite's primary result code: an extended one (SQLITE_IOERR_WRITE) has it in its lowest byte.

    None for what is no error of SQLite's, and for those that the module sqlite3 raises by itself, such as for a wrong
    number of parameters.
    """
    code = getattr(error, "sqlite_errorcode", None) if isinstance(error, sqlite3.Error) else None
    return None if code is None else code & 0xFF


def is_unavailable(error: BaseException) -> bool:
    """Whether the database cannot be used at the moment. Any other failure of SQLite is a fault of postroom itself.

    The class does not tell: a lock and a table that does not exist are both an OperationalError.
    """
    return isinstance(error, (DatabaseError, KeyFileError)) or primary_code(error) in _UNAVAILABLE


def of_commit(error: Exception) -> Exception:
    """What a commit has failed with: UncertainError when it may come to light after a crash.

    When SQLite cannot sync its log, the commit is in it already. SQLite takes it back, but until the next one
    overwrites it there, whoever opens the database after a crash finds it. The module pysqlite3 does not tell which
    step of a commit has failed.
    """
    if primary_code(error) == sqlite3.SQLITE_IOERR:
        return UncertainError(f"A commit failed: {error}")
    return error


def of_batch(error: Exception) -> Exception:
    """What one of those who share a batch is told; one object each, as whoever raises it adds to its traceback."""
    if isinstance(error, LostDatabaseError):
        return LostDatabaseError(str(error))
    if isinstance(error, UncertainError):
        uncertain = UncertainError(str(error))
        uncertain.__cause__ = error.__cause__
        return uncertain
    if is_unavailable(error):
        failure = DatabaseError(f"The database failed: {error}")
        failure.__cause__ = error
        return failure
    fault = TransactionError("A transaction could not begin or end")
    fault.__cause__ = error
    return fault
