"""Examines a database: whether it is whole, and keeps what postroom promises about it.

It can be in use: nothing is written and nobody waits for this. Each check sees the state of one moment.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from postroom.storage.checks import access, bounds, counters, documents, names, secrets, sqlite
from postroom.storage.checks.findings import Check, Finding, State
from postroom.storage.checks.snapshots import snapshot
from postroom.storage.connections import IN_MEMORY
from postroom.storage.engine import Connection
from postroom.storage.faults import DatabaseError, WrongDatabaseError
from postroom.storage.keyring import Keyring
from postroom.storage.urls import is_url

#: What both engines promise.
DATA: Final[Sequence[Check[Connection]]] = (
    *names.CHECKS, *access.CHECKS, *counters.CHECKS, *documents.CHECKS, *bounds.CHECKS, *secrets.CHECKS
)  # fmt: skip

#: Called before each check: what is done, how many checks are done, and how many there are.
Report = Callable[[str, int, int], object]


def examine(database: str, key_file: str | None, report: Report = lambda _name, _done, _all: None) -> list[Finding]:
    """The findings of all checks of a file or of a PostgreSQL database, which is named by its URL.

    The keys of stored secrets are in `key_file`, or else beside the file. A database of an older version is only
    examined as far as SQLite can; a file that is damaged is a finding. Raises DatabaseError when there is no way to it,
    WrongDatabaseError when it is of something else or of a newer version.
    """
    if database == IN_MEMORY:
        raise WrongDatabaseError("A database in memory belongs to a single process, and cannot be examined")
    keyring = Keyring(key_file or f"{database}.key")
    if is_url(database):
        from postroom.storage.postgresql import checks as postgresql

        with postgresql.opened(database, keyring) as connection:
            return _examined(connection, (*postgresql.CHECKS, *DATA), report)
    try:
        with sqlite.opened(database, keyring) as connection:
            if not sqlite.is_current(connection, database):
                return [*_examined(connection, (sqlite.DAMAGE,), report), OLD]
            return _examined(connection, (*sqlite.CHECKS, *DATA), report)
    except DatabaseError as error:
        if error.__cause__ is None or not sqlite.is_damaged(error.__cause__):
            raise
        return [sqlite.DAMAGE.found([str(error)])]


OLD: Final = Finding(
    "Database", "schema", State.WARNING, "The database is of an older version; only the file was examined",
    advice="The service brings it up to date when it starts",
)  # fmt: skip


def _examined(connection: Any, checks: Sequence[Check[Connection]], report: Report) -> list[Finding]:
    findings = []
    for done, check in enumerate(checks):
        report(check.name, done, len(checks))
        with snapshot(connection):
            findings.append(check.examine(connection))
    return findings
