import base64
from collections.abc import Iterator
from typing import Any

import pytest

from postroom.app.errors import InvalidError, UnavailableError
from tests.support.directory import directory
from tests.support.memory_directory import SERVERS, Server
from tests.support.slapd import PEOPLE_DN, USER_PASSWORD, people_ldif

GUID = bytes.fromhex("5c2a282900ff41")


@pytest.fixture(scope="module", params=SERVERS)
def slapd(request: pytest.FixtureRequest) -> Iterator[Server]:
    with request.param(settings=["sizelimit 4"]) as server:
        server.add(people_ldif(12))
        server.add(
            f"dn: uid=odd,{PEOPLE_DN}\nobjectClass: inetOrgPerson\nobjectClass: mailPerson\nuid: odd\n"
            f"uid: Strange One\ncn: Odd * (one) \\\nsn: Odd\nobjectGUID:: {base64.b64encode(GUID).decode()}\n"
            "userPassword: geheim\nuserPassword;lang-de: geheim\nuserPKCS12:: Z2VoZWlt\n"
            "pwhistory: geheim\nmailboxPassword: geheim\ntelephoneNumber: +4312345\n"
            "jpegPhoto:: /9gA\ndescription;lang-de: Versuch\n"
        )
        server.add(
            f"dn: cn=room,{PEOPLE_DN}\nobjectClass: organizationalRole\nobjectClass: mailPerson\n"
            "cn: The room\ncn: room\nobjectGUID: room\n"
        )
        yield server


@pytest.mark.parametrize(
    ("term", "names"),
    [
        ("schmidt", {"anna.schmidt"}),
        ("SCHMIDT", {"anna.schmidt"}),
        ("Müll", {"juergen.mueller"}),
        ("* (one) \\", {"odd"}),
        ("*", {"odd"}),
        (")(uid=*", set()),
        ("\0", set()),
        ("nobody", set()),
    ],
)
async def test_search(slapd: Server, term: str, names: set[str]) -> None:
    """A user is found by any part of a search attribute, in any case; nothing in the term is a pattern."""
    async with directory(slapd, objectID="uid") as found:
        assert {entry.object_id.decode() for entry in await found.search(term, 50)} == names


async def test_search_finds_contacts_after_users(slapd: Server) -> None:
    """Contacts come after the users, marked as such; who is both comes once, as a user."""
    async with directory(slapd, users__contactFilter="(|(cn=room)(uid=odd))") as found:
        entries = await found.search("o", 50)
        assert [entry.is_contact for entry in entries].index(True) == len(entries) - 1
        assert [entry.object_id for entry in entries].count(GUID) == 1
        assert entries[-1].object_id == b"room"


@pytest.mark.parametrize(("limit", "count"), [(-1, 0), (0, 0), (1, 1), (3, 3), (12, 12), (50, 14)])
async def test_search_has_a_limit(slapd: Server, limit: int, count: int) -> None:
    """No more than the limit come, contacts among them, and more hits than that are no error. No term finds all."""
    async with directory(slapd, users__contactFilter="(cn=room)") as found:
        assert len(await found.search("", limit)) == count
        assert len(await found.search("", limit)) == count


async def test_search_takes_what_the_server_gives(slapd: Server) -> None:
    """Behind a size limit of the server a search finds what came."""
    bind: dict[str, Any] = {
        "connection__bindUser": f"uid=anna.schmidt,{PEOPLE_DN}",
        "connection__bindPass": USER_PASSWORD,
    }
    async with directory(slapd, **bind) as found:
        assert len(await found.search("a", 50)) == 4
        assert len(await found.search("a", 2)) == 2


async def test_search_where_nothing_is(slapd: Server) -> None:
    """A base DN that is gone is said; a term that is no text is the caller's error."""
    async with directory(slapd, baseDn="ou=gone,dc=example,dc=com") as found:
        with pytest.raises(UnavailableError, match="base DN"):
            await found.search("a", 5)
        with pytest.raises(InvalidError):
            await found.search("\ud800", 5)


async def test_existing_ignores_the_filters(slapd: Server) -> None:
    """An entry that no filter finds still exists; IDs of bytes that mean something in filters are found, too."""
    async with directory(slapd, users__filter="(cn=nobody)") as found:
        assert await found.existing([GUID, b"room", b"*", b"", GUID[:-1], b"gone"]) == {GUID, b"room"}


async def test_existing_of_many(slapd: Server) -> None:
    """Any number of IDs can be asked about, those that come twice too; none ask nothing."""
    async with directory(slapd, objectID="entryUUID") as found:
        there = {entry.object_id for entry in await found.search("", 50)}
        assert len(there) == 13
        ids = [b"%d" % number for number in range(300)]
        assert await found.existing([*ids, *there, *there, *ids]) == there
    async with directory(slapd, connection__server="127.0.0.1:1") as found:
        assert await found.existing([]) == set()


async def test_existing_compares_as_the_server_does(slapd: Server) -> None:
    """Where the server does not regard case or the number of blanks, an ID in another spelling exists."""
    async with directory(slapd, objectID="uid") as found:
        assert await found.existing([b"ODD"]) == {b"ODD"}
        assert await found.existing([b"strange  one", b"odd"]) == {b"odd"}
        assert await found.existing([b"strange  one", b"x"]) == {b"strange  one"}


async def test_existing_is_never_a_guess(slapd: Server) -> None:
    """A base DN that is gone, and a server that gives out only some entries, do not make entries look gone."""
    async with directory(slapd, baseDn="ou=gone,dc=example,dc=com") as found:
        with pytest.raises(UnavailableError, match="base DN"):
            await found.existing([GUID])
    async with directory(slapd, objectID="entryUUID") as found:
        there = {entry.object_id for entry in await found.search("", 50)}
    bind: dict[str, Any] = {
        "connection__bindUser": f"uid=anna.schmidt,{PEOPLE_DN}",
        "connection__bindPass": USER_PASSWORD,
    }
    async with directory(slapd, objectID="entryUUID", **bind) as found:
        with pytest.raises(UnavailableError, match="only part"):
            await found.existing(there)


async def test_dump_shows_all_but_passwords(slapd: Server) -> None:
    """A dump has every attribute as the directory has it, whatever the filters say, but no password or key."""
    async with directory(slapd, users__filter="(cn=nobody)") as found:
        entry = await found.dump(GUID)
        assert entry is not None
        assert entry.object_id == GUID
        assert entry.dn == f"uid=odd,{PEOPLE_DN}"
        assert set(entry.attributes) == {
            *("objectClass", "uid", "cn", "sn", "objectGUID", "telephoneNumber", "jpegPhoto", "description;lang-de"),
        }
        assert list(entry.attributes["telephoneNumber"]) == ["+4312345"]
        assert list(entry.attributes["jpegPhoto"]) == [b"\xff\xd8\x00"]
        assert "geheim" not in repr(entry)
        assert await found.dump(b"gone") is None


async def test_dump_by_an_operational_attribute(slapd: Server) -> None:
    """Of the server's own attributes a dump has the object ID only."""
    async with directory(slapd, objectID="entryUUID") as found:
        (odd,) = await found.search("* (one)", 5)
        entry = await found.dump(odd.object_id)
        assert entry is not None
        assert entry.object_id == odd.object_id
        assert "entryUUID" in entry.attributes
        assert "createTimestamp" not in entry.attributes


async def test_dump_of_several(slapd: Server) -> None:
    """An ID that is not unique is an error, and a base DN that is gone is no missing entry."""
    async with directory(slapd, objectID="objectClass") as found:
        with pytest.raises(InvalidError, match="Several"):
            await found.dump(b"inetOrgPerson")
        with pytest.raises(InvalidError, match="Several"):
            await found.dump(b"mailPerson")
    async with directory(slapd, baseDn="ou=gone,dc=example,dc=com") as found:
        with pytest.raises(UnavailableError, match="base DN"):
            await found.dump(GUID)


async def test_groups_are_no_users(slapd: Server) -> None:
    """What the group filter finds is neither a user nor a contact."""
    groups: dict[str, Any] = {"groups__groupfilter": "(|(uid=odd)(cn=room))", "users__contactFilter": "cn=*room"}
    async with directory(slapd, **groups) as found:
        assert await found.fetch(GUID) is None
        assert await found.fetch(b"room") is None
        assert len([entry async for page in found.pages() for entry in page]) == 12
        await found.check()


async def test_entries_have_their_object_id(slapd: Server) -> None:
    """An entry has its object ID as bytes under whichever name the server gives it, the first of several values."""
    async with directory(slapd, objectID="userid") as found:
        for name in (b"odd", b"strange one"):
            entry = await found.fetch(name)
            assert entry is not None
            assert entry.object_id == b"odd"
    async with directory(slapd) as found:
        (anna,) = await found.search("anna.schmidt", 5)
        assert anna.object_id == b""
