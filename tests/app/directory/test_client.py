import asyncio
import base64
import gc
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from postroom.app.errors import UnavailableError
from tests.support.directory import directory
from tests.support.faults import fault_server
from tests.support.slapd import Slapd, people_ldif

pytestmark = pytest.mark.slapd

GUID = bytes.fromhex("5c2a282900ff41")


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    with Slapd() as server:
        server.add(people_ldif(6))
        server.add(
            f"dn: uid=odd,{server.people_dn}\nobjectClass: inetOrgPerson\nobjectClass: mailPerson\nuid: odd\n"
            f"cn: Odd\nsn: Odd\nobjectGUID:: {base64.b64encode(GUID).decode()}\n"
        )
        yield server


async def test_a_search_that_never_ends(slapd: Slapd) -> None:
    """A server that stops answering on a good connection runs into the time limit, and is used later."""
    async with directory(slapd, 0.4) as found:
        assert await found.fetch(GUID)
        slapd.pause()
        try:
            with pytest.raises(UnavailableError, match=r"did not answer within 0\.4 s"):
                await found.fetch(GUID)
        finally:
            slapd.resume()
        assert await found.fetch(GUID)


async def test_servers_are_tried_in_order(slapd: Slapd) -> None:
    """A server that refuses and one that hangs do not keep the third from being asked, and are avoided."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        refusing = f"127.0.0.1:{unused.getsockname()[1]}"
        async with fault_server("silent") as hanging:
            servers = f"{refusing} {hanging} {slapd.url}"
            async with directory(slapd, 1.2, connection__server=servers) as found:
                assert await found.fetch(GUID)
                await found.close()
                begun = time.monotonic()
                assert await found.fetch(GUID)
                assert time.monotonic() - begun < 0.2


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_cancelling_leaves_nothing_behind(slapd: Slapd) -> None:
    """Cancelled requests leave no callback in the loop, no descriptor and no busy slot."""
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    async with directory(slapd, connections=2) as found:
        assert await found.fetch(GUID)
        await found.close()
        await asyncio.sleep(0.05)
        gc.collect()
        before = descriptors()
        for step in range(40):
            task = asyncio.create_task(found.fetch(GUID))
            await asyncio.sleep(step / 10000)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        async with (
            fault_server("mute") as address,
            directory(slapd, connection__server=address) as stuck,
        ):
            task = asyncio.create_task(stuck.fetch(GUID))
            await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert await found.fetch(GUID)
        await found.close()
        await asyncio.sleep(0.05)
        gc.collect()
        assert descriptors() <= before
    assert complaints == []
