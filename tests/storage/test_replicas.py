"""Searches on a replica show whatever was committed before, and go to the primary when that is not possible."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from postroom.storage.database import Database
from postroom.storage.engine import Connection
from postroom.storage.faults import SlowSearchError
from tests.support.postgresql import PostgreSQL, schema

pytestmark = pytest.mark.postgresql

Open = Callable[..., Any]
#: Whether the server that is asked follows another one.
IS_REPLICA = "SELECT pg_is_in_recovery()"


@pytest.fixture(scope="module")
def primary() -> Iterator[PostgreSQL]:
    """A server that others can follow."""
    with PostgreSQL(fast=True, synchronous_commit="on") as server:
        yield server


@pytest.fixture
def replica(primary: PostgreSQL) -> Iterator[PostgreSQL]:
    """A server that follows it."""
    with PostgreSQL(fast=True, follows=primary) as server:
        yield server


@pytest.fixture
def open_node(primary: PostgreSQL, replica: PostgreSQL, tmp_path: Path) -> Open:
    """Opens the same database, as often as it is called."""
    name = primary.make_database(schema())

    @asynccontextmanager
    async def opened(**options: Any) -> AsyncIterator[Database]:
        database = await Database.open(
            primary.url(name), key_file=str(tmp_path / "keys"), replicas=[replica.url(name)], **options
        )
        try:
            yield database
        finally:
            await database.close()

    return opened


def add_org(connection: Connection, name: str) -> None:
    """Adds an organisation."""
    connection.execute("INSERT INTO orgs (name, key) VALUES (?, ?)", (name, name))


async def count(database: Database) -> int:
    """How many organisations a search finds."""
    return int(await database.search(1, "SELECT count(*) FROM orgs"))


async def until_replica(database: Database) -> None:
    """Waits until searches are asked of the replica."""
    async with asyncio.timeout(20):
        while not await database.search(1, IS_REPLICA):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


async def test_a_search_sees_what_was_committed(open_node: Open) -> None:
    """On the node that wrote and on another one, at once after each of many writes; and it asks the replica."""
    async with open_node() as one, open_node() as other:
        await one.write(add_org, "first")
        await until_replica(one)
        await until_replica(other)
        for number in range(200):
            await (one, other)[number % 2].write(add_org, f"{number}")
            assert await other.search(1, "SELECT count(*) FROM orgs") == number + 2
            assert await one.search(2, "SELECT count(*) FROM orgs") == number + 2
        assert one.generation.value == other.generation.value


async def test_a_replica_that_is_behind(open_node: Open, replica: PostgreSQL) -> None:
    """The primary answers while the replica does not go on, and the replica again when it has caught up."""
    async with open_node() as database:
        await database.write(add_org, "first")
        await until_replica(database)
        replica.admin.execute("SELECT pg_wal_replay_pause()")
        await database.write(add_org, "second")
        assert await count(database) == 2
        assert await database.search(1, IS_REPLICA) is False
        replica.admin.execute("SELECT pg_wal_replay_resume()")
        await until_replica(database)


async def test_a_replica_that_is_gone(open_node: Open, replica: PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> None:
    """The primary answers, and the replica again when it is back."""
    async with open_node() as database:
        await database.write(add_org, "first")
        await until_replica(database)
        replica.kill()
        await database.write(add_org, "second")
        assert await count(database) == 2
        assert await database.search(1, IS_REPLICA) is False
        replica.start()
        monkeypatch.setattr("postroom.storage.postgresql.replicas.AWAY", 0.0)
        for reader in database._searches.readers:
            monkeypatch.setattr(reader, "_away_until", 0.0)
        await until_replica(database)
        assert await count(database) == 2


async def test_a_slow_search_on_a_replica(open_node: Open) -> None:
    """It is stopped there; the primary is not asked as well."""
    async with open_node(search_timeout=0.5) as database:
        await database.write(add_org, "first")
        await until_replica(database)
        with pytest.raises(SlowSearchError):
            await database.search(1, "SELECT pg_sleep(30)")
        await until_replica(database)
