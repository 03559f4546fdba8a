"""The schema's history: numbered SQL files, each applied once, in order, in one transaction."""

import sqlite3
from collections.abc import Iterator
from importlib.resources import files


class MigrationError(sqlite3.DatabaseError):
    """The database cannot be brought to this version's schema."""


def migrations() -> list[tuple[int, str]]:
    """(number, SQL) of every migration, in order. The number is what the file's name begins with."""
    found = [file for file in files(__name__).iterdir() if file.name.endswith(".sql")]
    return sorted((int(file.name[:4]), file.read_text("utf-8")) for file in found)


def latest() -> int:
    """The schema version that this code works with."""
    return migrations()[-1][0]


def migrate(connection: sqlite3.Connection) -> None:
    """Brings an open database (autocommit mode) up to date. Raises MigrationError when it is from a newer version."""
    known = migrations()
    connection.execute("BEGIN IMMEDIATE")
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > known[-1][0]:
            raise MigrationError(
                f"it was made by a newer version of postroom (schema {version}, this one knows {known[-1][0]})"
            )
        for number, script in known:
            if number > version:
                for statement in _statements(script):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> Iterator[str]:
    """The single statements of a script; executescript() would commit before it begins."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
