"""What PostgreSQL reports, in the words of `storage.faults`."""

import re
from typing import Final

import psycopg
from psycopg import errors

from postroom.storage.faults import DatabaseError, IntegrityError

#: The first characters of SQLSTATE for what lies outside of the statement: no connection, no resources, a limit that
#: is reached, somebody who intervenes, a failure of the system, a server that only reads
#: (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_UNAVAILABLE: Final = ("08", "25006", "28", "3D", "42501", "53", "54", "55", "57", "58", "F0", "XX", "40")


class LostConnectionError(DatabaseError):
    """The connection has ended. Nothing has been stored, unless it was at the moment of the commit."""


def told(error: psycopg.Error) -> Exception:
    """The exception that the rest of postroom knows."""
    state = error.sqlstate or ""
    if isinstance(error, errors.IntegrityError):
        return IntegrityError(_constraint(error))
    if isinstance(error, errors.RaiseException):
        return IntegrityError(error.diag.message_primary or "")
    if isinstance(error, errors.DataError):
        # Text with NUL, a number that is too large.
        return IntegrityError("a value that cannot be stored")
    if isinstance(error, psycopg.OperationalError) and (not state or state.startswith(("08", "57P"))):
        return LostConnectionError("The connection to the database was lost")
    if state.startswith(_UNAVAILABLE):
        return DatabaseError(f"The database failed: {(error.diag.message_primary or state).splitlines()[0]}")
    return error


def _constraint(error: errors.IntegrityError) -> str:
    """The broken rule as SQLite calls it: `storage.integrity` knows these names."""
    if isinstance(error, errors.UniqueViolation):
        # The schema names each key by its table and its first column.
        table, name = error.diag.table_name or "", error.diag.constraint_name or ""
        found = re.fullmatch(rf"{table}_(.+?)_p?key(_\w+)?", name)
        return f"UNIQUE constraint failed: {table}.{found[1] if found else name}"
    if isinstance(error, errors.ForeignKeyViolation):
        return "FOREIGN KEY constraint failed"
    if error.diag.constraint_name:
        return f"CHECK constraint failed: {error.diag.constraint_name}"
    return error.diag.message_primary or ""
