"""The schema's history: numbered SQL files, applied once, in order; all that are pending in one transaction.

Before a database that is in use is changed, a complete copy is written beside it.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from postroom.storage.sqlite import deletes_contentless, sqlite3

#: Called with the schema's version before anything is changed in a database that is in use.
Backup = Callable[[int], object]

#: Seconds to wait while another process brings the same file up to date.
PATIENCE = 60


class MigrationError(sqlite3.DatabaseError):
    """The database cannot be brought to this version's schema."""


class WrongSchemaError(MigrationError):
    """The database has another schema than this version works with, and trying again does not help."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file; the number is what its name begins with."""

    number: int
    name: str
    script: str


@cache
def migrations() -> tuple[Migration, ...]:
    """Every migration, in order. Numbers may be missing."""
    found = [file for file in files(__name__).iterdir() if file.name.endswith(".sql")]
    numbered = [Migration(int(file.name[:4]), file.name, _script(file.read_text("utf-8"))) for file in found]
    return tuple(sorted(numbered, key=lambda migration: migration.number))


def _script(text: str) -> str:
    """The script in the words of this SQLite: one before 3.43 keeps the texts of an index, to delete from it by ID."""
    return text if deletes_contentless() else text.replace("content = '', contentless_delete = 1, ", "")


def latest() -> int:
    """The schema version that this code works with."""
    return migrations()[-1].number


def version_of(connection: sqlite3.Connection) -> int:
    """The schema version of a database, 0 when there is nothing in it.

    Raises WrongSchemaError for one of a newer version, and for a database of something else.
    """
    # One statement: between two, another process may have made the schema.
    version, tables = connection.execute(
        "SELECT user_version, (SELECT count(*) FROM sqlite_schema) FROM pragma_user_version"
    ).fetchone()
    if version > latest():
        raise WrongSchemaError(
            f"it was made by a newer version of postroom (schema {version}, this one knows {latest()})"
        )
    if version == 0 and tables:
        raise WrongSchemaError("it is a database of something else")
    return int(version)


def check_current(connection: sqlite3.Connection) -> None:
    """Raises WrongSchemaError unless the database has just the schema that this version works with."""
    version = version_of(connection)
    if version == 0:
        raise WrongSchemaError("there is nothing in it")
    if version < latest():
        raise WrongSchemaError(
            f"it is of an older version of postroom (schema {version}, this one needs {latest()}); "
            "the service brings it up to date when it starts"
        )


def migrate(connection: sqlite3.Connection, backup: Backup) -> None:
    """Brings an open database (autocommit mode) up to date, as a whole or not at all.

    Raises MigrationError, WrongSchemaError, and whatever `backup` raises.
    """
    if version_of(connection) == latest():
        return
    (patience,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000}").fetchall()
    # Inside a transaction this would do nothing; and with it on, dropping a table deletes what refers to its rows.
    connection.execute("PRAGMA foreign_keys = OFF").fetchall()
    try:
        _migrate(connection, backup)
    finally:
        connection.execute("PRAGMA foreign_keys = ON").fetchall()
        connection.execute(f"PRAGMA busy_timeout = {patience}").fetchall()


def _migrate(connection: sqlite3.Connection, backup: Backup) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Asked again: another process may have done it while this one waited for the lock.
        version = version_of(connection)
        pending = [migration for migration in migrations() if migration.number > version]
        # All are read before the first is applied.
        parsed = [(migration, list(statements(migration))) for migration in pending]
        if version > 0 and pending:
            backup(version)
        for migration, script in parsed:
            _apply(connection, migration, script)
        _check_references(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _apply(connection: sqlite3.Connection, migration: Migration, script: list[str]) -> None:
    for statement in script:
        try:
            connection.execute(statement)
        except sqlite3.Error as error:
            raise MigrationError(f"{migration.name} failed: {error}") from error
        if not connection.in_transaction:
            raise MigrationError(f"{migration.name} ends the transaction that it is a part of")
    connection.execute(f"PRAGMA user_version = {migration.number}")


def _check_references(connection: sqlite3.Connection) -> None:
    broken = connection.execute("PRAGMA foreign_key_check").fetchall()
    if broken:
        tables = ", ".join(sorted({f"{table} to {parent}" for table, _, parent, _ in broken}))
        raise MigrationError(f"{len(broken)} rows would refer to something that is not there ({tables})")


_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


def statements(migration: Migration) -> Iterator[str]:
    """The single statements of a script; executescript() would commit before it begins.

    Raises MigrationError when the last one is not complete: SQLite itself would say nothing.
    """
    statement = ""
    # Not every semicolon ends a statement: those in triggers, texts and comments do not.
    for part in re.split(r"(?<=;)", migration.script):
        statement += part
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if _COMMENT.sub("", statement).strip():
        raise MigrationError(f"the last statement of {migration.name} does not end with a semicolon")
