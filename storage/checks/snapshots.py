"""What a check reads is of one moment. A long check renews it, because the log of an SQLite file grows meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager

from postroom.storage.engine import Connection


@contextmanager
def snapshot(connection: Connection) -> Iterator[None]:
    """What is read inside is of one moment."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def renew(connection: Connection) -> None:
    """What is read from here on is of a later moment."""
    connection.execute("ROLLBACK")
    connection.execute("BEGIN")
