"""Listings of a real server and of the directory inside a server of a test are the same."""

from collections.abc import Iterator
from contextlib import aclosing

import pytest

from postroom.app.directory.client import Directory
from postroom.app.directory.mapping import Entry
from postroom.app.errors import UnavailableError
from tests.support.directory import directory
from tests.support.memory_directory import SERVERS, Server
from tests.support.slapd import PEOPLE_DN, USER_PASSWORD, people_ldif

#: Somebody whom the server gives no more than seven entries.
FEW = f"uid=anna.schmidt,{PEOPLE_DN}"


@pytest.fixture(scope="module", params=SERVERS)
def slapd(request: pytest.FixtureRequest) -> Iterator[Server]:
    with request.param(settings=["sizelimit 7"]) as server:
        server.add(people_ldif(20))
        server.add(
            "\n".join(
                f"dn: cn=room {number},{PEOPLE_DN}\nobjectClass: organizationalRole\nobjectClass: mailPerson\n"
                f"cn: room {number}\nobjectGUID: room{number}\n"
                for number in range(3)
            )
        )
        yield server


async def everything(found: Directory, size: int = 500) -> list[Entry]:
    return [entry async for page in found.pages(size) for entry in page]


@pytest.mark.parametrize("size", [1, 6, 10, 20, 21, 500])
async def test_pages_list_everybody_once(slapd: Server, size: int) -> None:
    """Whatever the size of a page, all users come, each once, with their object IDs and attributes."""
    async with directory(slapd, objectID="entryUUID") as found:
        pages = [page async for page in found.pages(size)]
        assert all(0 < len(page) <= size for page in pages)
        entries = [entry for page in pages for entry in page]
        assert len(entries) == len({entry.dn for entry in entries}) == len({entry.object_id for entry in entries}) == 20
        first = entries[0]
        assert await found.fetch(first.object_id) == first
        assert "mail" in first.attributes
        assert len(found._pool._idle) == 1


async def test_contacts_come_last(slapd: Server) -> None:
    """After the users come the contacts, marked as such; who is both is a user."""
    async with directory(slapd, objectID="cn", users__contactFilter="(|(cn=room*)(uid=anna*))") as found:
        entries = await everything(found, 2)
    assert [entry.is_contact for entry in entries] == [False] * 20 + [True] * 3
    assert {entry.object_id for entry in entries[20:]} == {b"room 0", b"room 1", b"room 2"}


async def test_nobody_at_all(slapd: Server) -> None:
    """Without any entry there is no page, unless the base DN is gone: then the directory counts as unavailable."""
    async with directory(slapd, users__filter="(cn=nobody)") as found:
        assert await everything(found) == []
    async with directory(slapd, baseDn="ou=gone,dc=example,dc=com") as found:
        with pytest.raises(UnavailableError, match="base DN"):
            await everything(found)


@pytest.mark.parametrize("size", [3, 7, 500])
async def test_a_short_listing_is_an_error(slapd: Server, size: int) -> None:
    """When the server gives out only some of its entries that is said, or the others would look gone."""
    async with directory(slapd, connection__bindUser=FEW, connection__bindPass=USER_PASSWORD) as found:
        with pytest.raises(UnavailableError, match=r"only part of its entries.*has to be raised"):
            await everything(found, size)


async def test_a_listing_waits_for_its_turn(slapd: Server) -> None:
    """Listings take no more connections than there are, and waiting for one has the time limit."""
    async with directory(slapd, 0.3, connections=1) as found, aclosing(found.pages(5)) as pages:
        await anext(pages)
        with pytest.raises(UnavailableError, match=r"within 0\.3 s"):
            await anext(found.pages())
