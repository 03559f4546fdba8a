"""The schema's history: numbered SQL files, applied once, in order; all that are pending in one transaction.

Before a database that is in use is changed, a complete copy is written beside it.

A program works with databases of its own schema, and with those of a newer one that says so: each database names the
oldest schema that a program must know to work with it. After a migration that is its own number, unless the file has a
line such as `-- Programs that know schema 16 can go on.`
"""

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from postroom.storage.sqlite import deletes_contentless, sqlite3

#: Called with the schema's version before anything is changed in a database that is in use.
Backup = Callable[[int], object]

log = logging.getLogger("postroom.storage")

#: What is logged when a program works with a newer schema.
GOES_ON: Final = "The database has the newer schema %d, which this version of postroom (schema %d) can work with"

#: From this schema on, a database says which programs may work with it.
MARKED_SINCE = 16

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

    @property
    def oldest(self) -> int:
        """The oldest schema that a program must know to go on after this."""
        return oldest_after(self.number, self.script)


def oldest_after(number: int, script: str) -> int:
    """The oldest schema that a program must know to go on after a migration."""
    said = re.search(r"^-- Programs that know schema (\d+) can go on\.$", script, re.MULTILINE)
    return int(said[1]) if said else number


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


def oldest() -> int:
    """The oldest schema that a program must know to work with a database that this code has brought up to date."""
    return max(migration.oldest for migration in migrations())


def version_of(connection: sqlite3.Connection) -> int:
    """The schema version of a database that this program can work with or bring up to date; 0: there is nothing in it.

    It may be newer than what this program knows. Raises WrongSchemaError if it must not be used then, and for a
    database of something else.
    """
    # One statement: between two, another process may have made the schema.
    version, tables = connection.execute(
        "SELECT user_version, (SELECT count(*) FROM sqlite_schema) FROM pragma_user_version"
    ).fetchone()
    if version == 0 and tables:
        raise WrongSchemaError("it is a database of something else")
    if version > latest():
        needed = find_oldest(connection) or version
        if needed > latest():
            raise WrongSchemaError(made_by_newer(version, latest(), needed))
        log.warning(GOES_ON, version, latest())
    return int(version)


def find_oldest(connection: sqlite3.Connection) -> int | None:
    """The oldest schema that a program must know to work with a database; None where none is stored."""
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'compatibility'").fetchone():
        return None
    row = connection.execute("SELECT oldest_schema FROM compatibility").fetchone()
    return int(row[0]) if row else None


def made_by_newer(version: int, known: int, needed: int) -> str:
    """What to say of a database that this program is too old for."""
    return (
        f"it was made by a newer version of postroom (schema {version}; this one knows {known}, "
        f"and it has to know {needed})"
    )


def made_by_older(version: int, known: int) -> str:
    """What to say of a database that has to be brought up to date first."""
    return (
        f"it is of an older version of postroom (schema {version}, this one needs {known}); "
        "the service brings it up to date when it starts, as does postroom migrate"
    )


def check_current(connection: sqlite3.Connection) -> None:
    """Raises WrongSchemaError unless this program can work with the database as it is."""
    version = version_of(connection)
    if version == 0:
        raise WrongSchemaError("there is nothing in it")
    if version < latest():
        raise WrongSchemaError(made_by_older(version, latest()))


def check_same(connection: sqlite3.Connection) -> None:
    """The same, for what has to know every table: a newer schema will not do. Raises WrongSchemaError."""
    check_current(connection)
    version = version_of(connection)
    if version > latest():
        raise WrongSchemaError(made_by_newer(version, latest(), version))


def migrate(connection: sqlite3.Connection, backup: Backup) -> None:
    """Brings an open database (autocommit mode) up to date, as a whole or not at all.

    Raises MigrationError, WrongSchemaError, and whatever `backup` raises.
    """
    if version_of(connection) >= latest():
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
        if pending and latest() >= MARKED_SINCE:
            connection.execute("UPDATE compatibility SET oldest_schema = ?", (oldest(),))
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
