"""A connection that only reads, and sees the state of one moment: for commands, beside a service that writes."""

import contextlib
from collections.abc import Iterator
from typing import Any

from postroom.storage.checks.examine import opened
from postroom.storage.checks.snapshots import snapshot
from postroom.storage.connections import IN_MEMORY
from postroom.storage.faults import WrongDatabaseError


@contextlib.contextmanager
def reading(database: str, key_file: str | None) -> Iterator[Any]:
    """The database as it is at this moment, of either engine; nobody waits for this.

    Raises DatabaseError when there is no way to it, WrongDatabaseError when it is of something else or another version.
    """
    if database == IN_MEMORY:
        raise WrongDatabaseError("A database in memory belongs to a single process")
    with opened(database, key_file) as (connection, checks):
        if checks is None:
            raise WrongDatabaseError(
                f"{database} is of an older version; the service brings it up to date at its start"
            )
        with snapshot(connection):
            yield connection
