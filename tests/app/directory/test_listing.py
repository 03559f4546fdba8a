import asyncio
import gc
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import bonsai
import pytest

from postroom.app.directory.client import Directory
from postroom.app.directory.mapping import Entry
from postroom.app.errors import UnavailableError
from tests.support.directory import directory
from tests.support.slapd import Slapd, people_ldif

pytestmark = pytest.mark.slapd


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    with Slapd() as server:
        server.add(people_ldif(20))
        yield server


async def everything(found: Directory, size: int = 500) -> list[Entry]:
    return [entry async for page in found.pages(size) for entry in page]


def resident() -> int:
    """What the process holds of memory, in MiB."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGESIZE") >> 20


async def test_memory_stays_the_same() -> None:
    """Ten thousand people are listed without holding more than a page or two of them, here or in the C library."""
    with Slapd(people=10_000) as server:
        async with directory(server, objectID="entryUUID") as found:
            await everything(found)
            before = most = resident()
            held = count = 0
            async for page in found.pages(100):
                count += len(page)
                most = max(most, resident())
                if count % 2000 == 0:
                    held = max(held, sum(isinstance(one, Entry | bonsai.LDAPEntry) for one in gc.get_objects()))
    assert count == 10_000
    assert held <= 400
    assert most - before < 12


@pytest.mark.parametrize("how", ["aclose", "break", "cancel"])
async def test_a_listing_that_is_given_up(slapd: Slapd, how: str) -> None:
    """An unfinished listing closes its connection, and its place is free for the next."""
    async with directory(slapd, connections=1, objectID="uid") as found:

        async def one_page() -> None:
            async with aclosing(found.pages(5)) as pages:
                async for _ in pages:
                    if how == "cancel":
                        await asyncio.sleep(60)
                    return

        if how == "break":
            async for page in found.pages(5):
                assert len(page) == 5
                break
            await asyncio.sleep(0.05)
        else:
            task = asyncio.create_task(one_page())
            await asyncio.sleep(0.2)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert found._pool._idle == []
        assert await found.fetch(b"anna.schmidt")


class Cutter:
    """Passes a client on to a server, and cuts the connections through when told to."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._tasks: set[asyncio.Task[Any]] = set()
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._port)
            await asyncio.gather(self._copy(reader, back), self._copy(there, writer))
        finally:
            writer.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(4096):
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    async def cut(self) -> None:
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # a transport that is aborted closes its socket one turn of the loop later


@asynccontextmanager
async def cutter(slapd: Slapd) -> AsyncIterator[tuple[Cutter, str]]:
    made = Cutter(slapd.port)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    try:
        yield made, f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await asyncio.sleep(0.01)  # a client that was let in at the last moment is with `serve` by then
        await made.cut()


async def test_a_listing_begins_again_once(slapd: Slapd) -> None:
    """When the connection dies the listing starts over on a new one, and everybody is in it all the same."""
    async with cutter(slapd) as (between, address), directory(slapd, connection__server=address) as found:
        seen = []
        async for page in found.pages(6):
            seen += [entry.dn for entry in page]
            if len(seen) == 12:
                await between.cut()
        assert between.connections == 2
        assert len(seen) == 12 + 20
        assert len(set(seen)) == 20


async def test_a_connection_that_dies_twice(slapd: Slapd) -> None:
    """When the second connection dies, too, the listing ends in an error with the reason."""
    async with cutter(slapd) as (between, address), directory(slapd, connection__server=address) as found:
        pages = found.pages(6)
        assert len(await anext(pages)) == 6
        await between.cut()
        assert len(await anext(pages)) == 6
        await between.cut()
        with pytest.raises(UnavailableError, match=f"{address} cannot be asked: it closed the connection"):
            await anext(pages)
        assert between.connections == 2


async def test_every_page_has_the_whole_time(slapd: Slapd) -> None:
    """A slow reader is no slow server: the time limit counts for each page alone."""
    async with directory(slapd, 0.3) as found:
        count = 0
        async for page in found.pages(10):
            count += len(page)
            await asyncio.sleep(0.4)
        assert count == 20
        pages = found.pages(10)
        await anext(pages)
        slapd.pause()
        try:
            with pytest.raises(UnavailableError, match=r"did not answer within 0\.3 s"):
                await anext(pages)
        finally:
            slapd.resume()
