"""Examines a database: whether it is whole, and keeps what postroom promises about it.

It can be in use: nothing is written and nobody waits for this. Each check sees the state of one moment.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Final

from postroom.storage.checks import access, bounds, counters, documents, names, repairs, secrets, sqlite
from postroom.storage.checks.findings import Check, Finding, State
from postroom.storage.checks.snapshots import snapshot
from postroom.storage.connections import IN_MEMORY
from postroom.storage.engine import Connection
from postroom.storage.faults import DatabaseError, WrongDatabaseError
from postroom.storage.keyring import Keyring, key_file_of
from postroom.storage.progress import Report
from postroom.storage.urls import is_url

Checks = Sequence[Check[Connection]]

#: What is examined of both engines.
DATA: Final[Checks] = (
    *names.CHECKS, *access.CHECKS, *counters.CHECKS, *documents.CHECKS, *bounds.CHECKS, *secrets.CHECKS
)  # fmt: skip


def examine(
    database: str,
    key_file: str | None,
    report: Report = lambda _name, _done, _all: None,
    *,
    further: Checks = (),
    repair: bool = False,
) -> list[Finding]:
    """The findings of all checks, and of `further` ones, of a file or of a PostgreSQL database, named by its URL.

    The keys of stored secrets are in `key_file`, or else beside the file. With `repair`, what can be repaired without
    loss is repaired and examined again, unless the file is damaged.

    Of an older version only the file is examined; a file that is damaged is a finding. Raises DatabaseError when there
    is no way to the database, WrongDatabaseError when it is of something else or of a newer version.
    """
    if database == IN_MEMORY:
        raise WrongDatabaseError("A database in memory belongs to a single process, and cannot be examined")
    try:
        with opened(database, key_file) as (connection, checks):
            if checks is None:
                return [_examined(connection, sqlite.DAMAGE), _OLD]
            return _examined_in_turn(connection, (*checks, *further), report, (database, key_file) if repair else None)
    except DatabaseError as error:
        if error.__cause__ is None or not sqlite.is_damaged(error.__cause__):
            raise
        return [sqlite.DAMAGE.found([str(error)])]


_OLD: Final = Finding(
    "Database", "schema", State.WARNING, "The database is of an older version; only the file was examined",
    advice="The service brings it up to date when it starts",
)  # fmt: skip


@contextmanager
def opened(database: str, key_file: str | None) -> Iterator[tuple[Any, Checks | None]]:
    """A connection that reads, and the checks; None: the database is of an older version."""
    keyring = Keyring(key_file_of(database, key_file))
    if is_url(database):
        from postroom.storage.postgresql import checks as postgresql

        with postgresql.opened(database, keyring) as server:
            yield server, (*postgresql.CHECKS, *DATA, *postgresql.SEARCH)
        return
    with sqlite.opened(database, keyring) as file:
        yield file, (*sqlite.CHECKS, *DATA, *sqlite.SEARCH) if sqlite.is_current(file, database) else None


def _examined_in_turn(
    connection: Any, checks: Checks, report: Report, repaired: tuple[str, str | None] | None
) -> list[Finding]:
    findings: list[Finding] = []
    store: repairs.Store | None = None
    with ExitStack() as stack:
        for done, check in enumerate(checks):
            report(check.name, done, len(checks))
            finding = _examined(connection, check)
            if check is sqlite.DAMAGE and finding.state is not State.OK:
                # Whatever is written into a damaged file may destroy more.
                repaired = None
            if repaired is not None and check.repair is not None and finding.state is not State.OK:
                store = store or stack.enter_context(repairs.opened(*repaired, partial(_reading, *repaired)))
                finding = repairs.repaired(check, finding, store, partial(store.read, check.examine))
            findings.append(finding)
    return findings


@contextmanager
def _reading(database: str, key_file: str | None) -> Iterator[Any]:
    with opened(database, key_file) as (connection, _):
        yield connection


def _examined(connection: Any, check: Check[Connection]) -> Finding:
    with snapshot(connection):
        return check.examine(connection)
