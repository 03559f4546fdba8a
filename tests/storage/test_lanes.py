"""Connections that are shared: one caller after the other, and no hop longer than a moment."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from postroom.storage import lanes, together
from postroom.storage.database import Database
from postroom.storage.generation import find_auth_generation
from postroom.storage.lanes import ASKER
from postroom.storage.sqlite import sqlite3

pytestmark = pytest.mark.attack

#: Asks for a function to be run on one of the shared connections.
Run = Callable[..., Awaitable[Any]]


@pytest.fixture(params=["write", "look_up_by", "fetch_by_key"])
def run(request: pytest.FixtureRequest, file_database: Database) -> Run:
    """Each of the three: the writer, the reader of accounts and that of reads by key."""
    if request.param == "fetch_by_key":
        return lambda function: file_database._keyed_reads.run(function, ())
    found: Run = getattr(file_database, request.param)
    return found


def asked(run: Run, asker: int, function: Callable[[sqlite3.Connection], object]) -> asyncio.Task[Any]:
    """Somebody's wish, on its way."""

    async def ask() -> Any:
        ASKER.set(asker)
        return await run(function)

    return asyncio.create_task(ask())


async def test_callers_take_turns(run: Run) -> None:
    """Whoever asks once is second, however much somebody else has asked before."""
    order: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def wait(_connection: sqlite3.Connection) -> None:
        begun.set()
        go_on.wait()

    first = asked(run, 1, wait)
    await asyncio.to_thread(begun.wait)
    greedy = [asked(run, 1, lambda _: order.append(1)) for _ in range(1000)]
    await asyncio.sleep(0)
    modest = asked(run, 2, lambda _: order.append(2))
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(first, *greedy, modest)
    assert order.index(2) <= 1
    assert len(order) == 1001


async def test_a_hop_is_short(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes long is not done in one hop with all that waits: whoever comes meanwhile is next but one."""
    for module in (lanes, together):
        monkeypatch.setattr(module, "BATCH_SECONDS", 0.0)
    order: list[int] = []
    begun = threading.Event()

    def slow(_connection: sqlite3.Connection) -> None:
        begun.set()
        time.sleep(0.01)
        order.append(1)

    greedy = [asked(run, 1, slow) for _ in range(20)]
    await asyncio.to_thread(begun.wait)
    modest = asked(run, 2, lambda _: order.append(2))
    await asyncio.gather(*greedy, modest)
    assert order.index(2) <= 10
    assert order.count(1) == 20


async def test_readers_of_one_hop_see_the_same(file_database: Database) -> None:
    """A hop reads in one transaction: what is committed meanwhile is seen by the next."""
    begun, go_on = threading.Event(), threading.Event()

    def wait(_connection: sqlite3.Connection) -> None:
        begun.set()
        go_on.wait()

    def change_and_look(connection: sqlite3.Connection) -> int:
        path = connection.execute("PRAGMA database_list").fetchone()[2]
        with contextlib.closing(sqlite3.connect(path)) as other, other:
            other.execute("UPDATE auth_generation SET value = value + 1")
        return find_auth_generation(connection)

    read = file_database.look_up_by
    first = asked(read, 1, wait)
    await asyncio.to_thread(begun.wait)
    before = file_database.generation.value
    together = asked(read, 1, change_and_look), asked(read, 1, find_auth_generation)
    await asyncio.sleep(0)
    go_on.set()
    await first
    assert set(await asyncio.gather(*together)) == {before}
    assert await read(find_auth_generation) == before + 1
