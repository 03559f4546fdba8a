"""Nobody's questions to a directory are in the way of somebody else's, nor of logins; and no answer has no end."""

import asyncio

import pytest

from postroom.app.directory import wire
from postroom.app.directory.client import Directory
from postroom.app.errors import UnavailableError
from postroom.storage.lanes import ASKER
from tests.support.directory import directory
from tests.support.faults import answering, fault_server
from tests.support.slapd import Slapd

pytestmark = pytest.mark.attack

PATIENCE = 20


async def ask(found: Directory, caller: int) -> None:
    """A search by a caller."""
    ASKER.set(caller)
    await found.search("anna", 10)


async def test_one_caller_leaves_connections_for_others() -> None:
    """However many searches somebody has under way, a server that never answers has half of the connections for them,
    and a login gets one; beyond a hundred they are refused.
    """
    connections = 0
    changed = asyncio.Event()

    async def silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        changed.set()
        await asyncio.sleep(3600)

    async def until(number: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while connections < number:
                changed.clear()
                await changed.wait()

    async with (
        fault_server(silent) as address,
        directory(Slapd(), limit=3600, connection__server=f"ldap://{address}") as found,
    ):
        asking = [asyncio.create_task(ask(found, 1)) for _ in range(102)]
        await until(2)
        for _ in range(50):
            await asyncio.sleep(0.002)
        assert connections == 2
        with pytest.raises(UnavailableError, match="Too many requests to the directory"):
            await ask(found, 1)
        asking.append(asyncio.create_task(found.authenticate(None, "secret", b"here")))  # type: ignore[arg-type]
        await until(3)
        # The next turn is somebody else's.
        other = asyncio.create_task(ask(found, 2))
        asking.append(other)
        await asyncio.sleep(0)
        waiting = found._callers._waiting
        asking[0].cancel()
        await until(4)
        assert 2 not in waiting or next(iter(waiting)) == 2
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def test_an_answer_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose answer is larger than any has to be is hung up on, long before the time is over."""
    monkeypatch.setattr(wire, "_MAX_ANSWER", 500_000)
    person = {"cn": [b"a"], "mail": [b"a@example.com"], "objectGUID": [b"a"], "description": [b"x" * 10_000]}
    for number, there in ((10, True), (200, False)):
        people = {f"cn={each}": person for each in range(number)}
        async with (
            fault_server(answering(people)) as address,
            directory(Slapd(), limit=3600, connection__server=f"ldap://{address}") as found,
        ):
            if there:
                for _ in range(10):
                    assert len(await found.search("anna", 500)) == number
            else:
                with pytest.raises(UnavailableError, match="cannot be asked"):
                    await found.search("anna", 500)
