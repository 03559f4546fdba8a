"""Stores in memory for tests: connections that are used again."""

import pytest

from postroom.storage.ephemeral import empty_image
from postroom.storage.faults import DatabaseError
from postroom.storage.sqlite import sqlite3

pytestmark = pytest.mark.sqlite


async def test_a_connection_that_is_still_read_is_not_used_again() -> None:
    """Somebody may have kept a cursor, such as the traceback of an error in a test."""
    first = empty_image().opened(5)
    rows = await first.read(lambda connection: connection.execute("SELECT name FROM sqlite_master"))
    assert rows.fetchone()
    await first.close()
    second = empty_image().opened(5)
    assert await second.fetch_value("SELECT count(*) FROM users") == 0
    await second.close()
    with pytest.raises(sqlite3.ProgrammingError):
        rows.fetchone()


async def test_a_closed_store_does_nothing() -> None:
    """Even when another one has its connection."""
    first = empty_image().opened(5)
    await first.close()
    second = empty_image().opened(5)
    for ask in (first.look_up, first.fetch_value):
        with pytest.raises(DatabaseError, match="closed"):
            await ask("SELECT 1")
    await second.close()
