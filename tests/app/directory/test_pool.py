import asyncio
import time
from collections.abc import Callable, Iterator

import pytest

from postroom.app.directory.client import Directory
from postroom.app.errors import UnavailableError
from tests.support.directory import directory
from tests.support.faults import fault_server
from tests.support.slapd import PEOPLE_DN, Slapd, people_ldif

pytestmark = pytest.mark.slapd

ANNA = b"anna.schmidt"


@pytest.fixture(scope="module")
def first() -> Iterator[Slapd]:
    with Slapd() as server:
        server.add(people_ldif(2))
        yield server


@pytest.fixture(scope="module")
def second() -> Iterator[Slapd]:
    with Slapd() as server:
        server.add(people_ldif(2))
        server.modify(f"dn: uid=anna.schmidt,{PEOPLE_DN}\nchangetype: modify\nreplace: title\ntitle: second\n")
        yield server


async def eventually(condition: Callable[[], bool]) -> bool:
    for _ in range(200):
        if condition():
            return True
        await asyncio.sleep(0.05)
    return False


async def who(found: Directory) -> str:
    """Which of the servers answers."""
    entry = await found.fetch(ANNA)
    assert entry is not None
    return "second" if list(entry.attributes["title"]) == ["second"] else "first"


async def test_failover_and_failback(first: Slapd, second: Slapd) -> None:
    """While the first server is away the second one answers; back again, the first is asked after the time for which
    it is avoided, also when connections to the second are still good."""
    servers = f"{first.url} {second.url}"
    async with directory(first, objectID="uid", connection__server=servers, avoid=0.5) as found:
        assert await who(found) == "first"
        first.stop()
        try:
            assert await who(found) == "second"
        finally:
            first.start()
        assert await who(found) == "second"
        await asyncio.sleep(0.5)
        assert await who(found) == "first"


async def test_a_server_that_stays_away_costs_little(first: Slapd, second: Slapd) -> None:
    """Of many requests at once only one waits for a server that was away, to see whether it is back."""
    async with fault_server("silent") as hanging:
        servers = f"{hanging} {second.url}"
        # Those that do not wait have to come within that time.
        async with directory(first, 2, objectID="uid", connection__server=servers, avoid=0.7) as found:
            assert await who(found) == "second"
            await asyncio.sleep(0.7)
            times = []

            async def timed() -> None:
                begun = time.monotonic()
                assert await who(found) == "second"
                times.append(time.monotonic() - begun)

            await asyncio.gather(*(timed() for _ in range(4)))
            assert sum(one > 0.9 for one in times) == 1


@pytest.mark.parametrize("mode", ["mute", "dies", "closes", "backlog"])
async def test_a_server_that_only_lets_in(first: Slapd, second: Slapd, mode: str) -> None:
    """Also a first server that is ill in another way than being away is soon avoided."""
    async with fault_server(mode) as ill:
        servers = f"{ill} {second.url}"
        async with directory(first, 0.8, objectID="uid", connection__server=servers) as found:
            if mode == "mute":
                with pytest.raises(UnavailableError):
                    await found.fetch(ANNA)
            assert await who(found) == "second"
            begun = time.monotonic()
            assert await who(found) == "second"
            assert [entry async for page in found.pages() for entry in page]
            assert time.monotonic() - begun < 0.4


async def test_all_servers_away(first: Slapd) -> None:
    """When no server is there the error names all of them."""
    async with directory(first, connection__server="127.0.0.1:1 127.0.0.1:2") as found:
        with pytest.raises(UnavailableError, match=r"1:1 ldap://127\.0\.0\.1:2 cannot be asked: it refuses"):
            await found.fetch(ANNA)


async def test_no_time_is_no_fault(first: Slapd, second: Slapd) -> None:
    """A server for which no time was left does not count as away."""
    servers = f"{first.url} {second.url}"
    async with directory(first, objectID="uid", connection__server=servers) as found:
        with pytest.raises(TimeoutError):
            await found._pool.take(asyncio.get_running_loop().time(), fresh=True)
        assert await who(found) == "first"


async def test_an_idle_cut_goes_unnoticed() -> None:
    """A server that hangs up on idle clients is asked again over a fresh connection."""
    with Slapd(settings=["idletimeout 1"]) as server:
        server.add(people_ldif(2))
        async with directory(server, objectID="uid") as found:
            assert await who(found) == "first"
            ((_, session),) = found._pool._idle
            assert await eventually(lambda: not session.alive)
            assert await who(found) == "first"


async def test_the_pool_is_bounded(first: Slapd) -> None:
    """Never are more connections open than callers may have, which is half of all, whatever is asked at once; they are
    shared and kept.
    """
    opened = 0
    async with directory(first, objectID="uid", connections=4) as found:
        original = found._pool._open_one

        async def counted(*args: object) -> object:
            nonlocal opened
            opened += 1
            return await original(*args)  # type: ignore[arg-type]

        found._pool._open_one = counted  # type: ignore[method-assign, assignment]
        work = [found.fetch(ANNA) for _ in range(30)] + [found.search("anna", 5) for _ in range(30)]
        assert all(await asyncio.gather(*work))
        assert opened == 2
        assert len(found._pool._idle) == 2


async def test_referrals_are_not_followed() -> None:
    """What is in another server is left out, and that server is not asked."""
    asked = []

    async def remember(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(10))

    async with fault_server(remember) as elsewhere:
        with Slapd() as server:
            server.add(people_ldif(3))
            server.add(
                f"dn: ou=elsewhere,{PEOPLE_DN}\nobjectClass: referral\nobjectClass: extensibleObject\n"
                f"ou: elsewhere\nref: ldap://{elsewhere}/ou=people,dc=example,dc=org\n"
            )
            async with directory(server, objectID="uid") as found:
                assert await found.fetch(ANNA)
                assert await found.fetch(b"nobody") is None
                assert len(await found.search("a", 50)) == 3
                assert len([entry async for page in found.pages(1) for entry in page]) == 3
                assert await found.existing([ANNA, b"elsewhere"]) == {ANNA}
                assert await found.dump(ANNA)
            async with directory(server, objectID="uid", baseDn=f"ou=elsewhere,{PEOPLE_DN}") as found:
                with pytest.raises(UnavailableError):
                    await found.fetch(ANNA)
                with pytest.raises(UnavailableError):
                    await anext(found.pages())
    assert asked == []
