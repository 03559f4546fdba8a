import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from postroom.app.directory.client import Directory
from postroom.app.directory.config import from_document
from postroom.app.errors import UnavailableError
from tests.support.faults import MODES, answering, fault_server

TIMEOUT = 0.5
REASONS = {
    "backlog": "did not answer within",
    "silent": "did not answer within",
    "closes": "closed the connection",
    "tls": "not valid LDAP",
    "mute": "did not answer within",
    "dies": "closed the connection",
    "garbage": "closed the connection",
    "slow": "did not answer within",
}


@asynccontextmanager
async def directory(address: str, *, starttls: bool = False, **users: Any) -> AsyncIterator[Directory]:
    document = {
        "connection": {"server": address, "bindUser": "cn=x", "bindPass": "geheim", "starttls": starttls},
        "baseDn": "dc=x",
        "objectID": "objectGUID",
        "users": {"username": "mail", **users},
    }
    found = Directory(from_document(document), timeout=TIMEOUT, connections=8)
    try:
        yield found
    finally:
        await found.close()


async def list_all(found: Directory) -> None:
    async for _ in found.pages():
        pass


def questions(found: Directory) -> dict[str, Awaitable[object]]:
    return {
        "check": found.check(),
        "fetch": found.fetch(b"a"),
        "search": found.search("a", 5),
        "pages": list_all(found),
        "existing": found.existing([b"a"]),
        "dump": found.dump(b"a"),
        "authenticate": found.authenticate(b"a", "x"),
    }


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def settled(before: tuple[int, int]) -> bool:
    """Whether there are soon no more descriptors and tasks than that."""
    for _ in range(100):
        gc.collect()
        if descriptors() <= before[0] and len(asyncio.all_tasks()) <= before[1]:
            return True
        await asyncio.sleep(0.02)
    return False


@pytest.mark.parametrize("how", ["ldap", "ldaps", "starttls"])
@pytest.mark.parametrize("mode", MODES)
async def test_a_broken_server_stops_nobody(mode: str, how: str) -> None:
    """Whatever is asked of a broken server fails in time with the server and the reason; the loop goes on meanwhile,
    next to no CPU is used, and no task, descriptor or complaint of the loop is left behind."""
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            ticks.append(time.monotonic())
            await asyncio.sleep(0.01)

    async with directory("127.0.0.1:1") as unused:
        # What is imported late is imported now.
        with pytest.raises(UnavailableError):
            await unused.fetch(b"a")
    before = descriptors(), len(asyncio.all_tasks())
    async with fault_server(mode) as address:
        url = f"{'ldaps' if how == 'ldaps' else 'ldap'}://{address}"
        async with directory(url, starttls=how == "starttls") as found:
            ticker = asyncio.create_task(tick())
            begun, cpu = time.monotonic(), time.process_time()
            asked = questions(found)
            answers = await asyncio.gather(*asked.values(), return_exceptions=True)
            assert time.monotonic() - begun < TIMEOUT + 1
            assert time.process_time() - cpu < 0.4
            ticker.cancel()
            ticks.append(time.monotonic())
            assert max(b - a for a, b in pairwise(ticks)) < 0.25
    for name, answer in zip(asked, answers, strict=True):
        assert isinstance(answer, UnavailableError), (name, answer)
        assert url in answer.message
        assert "geheim" not in answer.message
        if how == "ldap":
            assert REASONS[mode] in answer.message
    # Errors hold what was in the functions that they came out of.
    del answers, answer
    assert await settled(before)
    assert complaints == []


async def test_a_server_that_works() -> None:
    """The questions above have an answer when nothing is broken."""
    entries = {"cn=a": {"mail": [b"a@example.com"], "objectGUID": [b"a"]}}
    async with fault_server(answering(entries)) as address, directory(address) as found:
        assert not [answer for answer in await asyncio.gather(*questions(found).values()) if answer is False]
        assert await found.existing([b"a"]) == {b"a"}


async def test_values_in_ranges() -> None:
    """Of an attribute that Active Directory gives out in part, the values that came are taken."""
    some = [b"smtp:%d@example.com" % number for number in range(1500)]
    entries = {"cn=a": {"mail": [b"a@example.com"], "proxyAddresses;range=0-1499": some, "proxyAddresses": []}}
    async with fault_server(answering(entries)) as address, directory(address, aliases="proxyAddresses") as found:
        entry = await found.fetch(b"a")
        assert entry is not None
        assert [str(value) for value in entry.attributes["proxyAddresses"]] == [value.decode() for value in some]
        dumped = await found.dump(b"a")
        assert dumped is not None
        assert len(dumped.attributes["proxyAddresses"]) == 1500
