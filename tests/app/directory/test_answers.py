"""A real server and the directory inside a server of a test give the same answers."""

import asyncio
import base64
from collections.abc import Iterator
from typing import Any

import pytest

from postroom.app.directory.mapping import map_entry
from postroom.app.errors import InvalidError, UnavailableError
from tests.support.directory import directory
from tests.support.memory_directory import SERVERS, Server
from tests.support.slapd import USER_PASSWORD, people_ldif

GUID = bytes.fromhex("5c2a282900ff41")


@pytest.fixture(scope="module", params=SERVERS)
def slapd(request: pytest.FixtureRequest) -> Iterator[Server]:
    with request.param() as server:
        server.add(people_ldif(6))
        server.add(
            f"dn: uid=odd,{server.people_dn}\nobjectClass: inetOrgPerson\nobjectClass: mailPerson\nuid: odd\n"
            "cn: Odd\nsn: Odd\nmail: odd@example.com\ntelephoneNumber: +4312345\ntitle: TRUE\n"
            f"employeeNumber: 0x10\ncn;lang-de: 7\nobjectGUID:: {base64.b64encode(GUID).decode()}\n"
        )
        server.add(
            f"dn: cn=ext,{server.people_dn}\nobjectClass: organizationalRole\nobjectClass: mailPerson\n"
            "cn: ext\nobjectGUID: contact\n"
        )
        yield server


async def test_check_accepts_a_good_configuration(slapd: Server) -> None:
    """A configuration that works passes the check."""
    async with directory(slapd, users__contactFilter="(cn=*)") as found:
        await found.check()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"connection__bindPass": "geheim"}, "refuses the bind user"),
        ({"connection__bindPass": None}, "has no password"),
        ({"connection__bindPass": "admin-secret\0"}, "NUL"),
        ({"connection__bindUser": "cn=nobody,dc=example,dc=com"}, "refuses the bind user"),
        ({"connection__bindUser": "not a dn"}, "not a valid DN"),
        ({"baseDn": "ou=nowhere,dc=example,dc=com"}, "ou=nowhere,dc=example,dc=com does not exist"),
        ({"baseDn": "nonsense"}, "not a valid DN"),
        ({"users__filter": "(&(broken)"}, "filter is not valid"),
        ({"users__contactFilter": "(broken"}, "filter is not valid"),
    ],
)
async def test_check_names_the_fault(slapd: Server, changes: dict[str, Any], reason: str) -> None:
    """A fault of the configuration is the administrator's error, with a reason and without the password."""
    async with directory(slapd, **changes) as found:
        with pytest.raises(InvalidError, match=reason) as caught:
            await found.check()
        assert "geheim" not in caught.value.message
        assert "geheim" not in repr(found)


async def test_fetch_finds_binary_ids(slapd: Server) -> None:
    """An object ID of bytes that mean something in filters is found, and its values are those of the server."""
    async with directory(slapd) as found:
        entry = await found.fetch(GUID)
    assert entry is not None
    assert entry.dn == f"uid=odd,{slapd.people_dn}"
    assert not entry.is_contact
    values = {name: list(texts) for name, texts in entry.attributes.items()}
    assert values["objectGUID"] == [GUID]
    # As numbers and booleans these would have lost their form.
    assert (values["telephoneNumber"], values["title"], values["employeeNumber"]) == (
        ["+4312345"],
        ["TRUE"],
        ["0x10"],
    )


@pytest.mark.parametrize("other", [b"*", b"", GUID[:-1], b")(uid=*", b"\0"])
async def test_fetch_of_an_unknown_id(slapd: Server, other: bytes) -> None:
    """An unknown object ID, also one that looks like a filter, is None."""
    async with directory(slapd) as found:
        assert await found.fetch(other) is None


async def test_fetched_people_can_be_mapped(slapd: Server) -> None:
    """A person of the directory becomes a user with umlauts, aliases and all telephone numbers."""
    async with directory(slapd, objectID="uid") as found:
        entry = await found.fetch(b"anna.schmidt")
        assert entry is not None
        user = map_entry(entry, found.config, lambda _own, domain: domain == "example.com")
        assert user.username == "anna.schmidt@example.com"
        assert user.aliases == ("anna.schmidt.second@example.com",)
        assert user.altname == "anna.schmidt"
        assert user.properties[0x3A08001F] == "+43 1 555 1001 +43 1 555 5001"
        juergen = await found.fetch(b"juergen.mueller")
        assert juergen is not None
        user = map_entry(juergen, found.config, lambda _own, domain: domain == "example.com")
        assert user.properties[0x3001001F] == "Jürgen Müller"
        assert user.properties[0x3A29001F] == "Ring 1"
        assert user.aliases == ("juergen.mueller.alias@example.com",)
        assert user.warnings == ()


async def test_fetch_obeys_the_filters(slapd: Server) -> None:
    """What the user filter leaves out is not there, unless the contact filter lets it in as a contact."""
    async with directory(slapd) as found:
        assert await found.fetch(b"contact") is None
    async with directory(slapd, users__contactFilter="(objectClass=organizationalRole)") as found:
        entry = await found.fetch(b"contact")
        assert entry is not None
        assert entry.is_contact


async def test_an_id_that_is_not_unique(slapd: Server) -> None:
    """An object ID that several entries have is an error, and the connection stays usable."""
    async with directory(slapd, objectID="objectClass") as found:
        with pytest.raises(InvalidError, match="Several"):
            await found.fetch(b"inetOrgPerson")
        assert await found.fetch(b"nothing") is None


async def test_a_missing_base_is_no_missing_object(slapd: Server) -> None:
    """When the base DN is gone nobody becomes an orphan: the directory counts as unavailable."""
    async with directory(slapd, baseDn="ou=gone,dc=example,dc=com") as found:
        with pytest.raises(UnavailableError, match="base DN"):
            await found.fetch(GUID)


@pytest.mark.parametrize(
    ("password", "good"),
    [(USER_PASSWORD, True), ("wrong", False), ("", False), (f"{USER_PASSWORD}\0x", False), ("\ud800", False)],
)
async def test_authenticate(slapd: Server, password: str, good: bool) -> None:
    """Only the right password logs in: not an empty one, and not one that C would cut off."""
    async with directory(slapd, objectID="uid") as found:
        assert await found.authenticate(b"anna.schmidt", password) is good


async def test_authenticate_of_nobody(slapd: Server) -> None:
    """An unknown object and one without a password cannot log in."""
    async with directory(slapd) as found:
        assert await found.authenticate(b"nobody", USER_PASSWORD) is False
        assert await found.authenticate(GUID, USER_PASSWORD) is False


@pytest.mark.parametrize("cn", ['Groß, "J" +#1<>;=', r"a\2Cb", r"a\,b", "#1", " x ", "a/b*(c)"])
async def test_names_with_special_characters(slapd: Server, cn: str) -> None:
    """A person is found and can log in whatever characters the DN holds."""
    escaped = "".join(f"\\{byte:02x}" for byte in cn.encode())
    slapd.add(
        f"dn: cn={escaped}+uid=odder,{slapd.people_dn}\nobjectClass: inetOrgPerson\nobjectClass: mailPerson\n"
        f"cn:: {base64.b64encode(cn.encode()).decode()}\nuid: odder\nsn: G\nuserPassword: p:p*\nobjectGUID: odder\n"
    )
    try:
        async with directory(slapd) as found:
            assert await found.fetch(b"odder")
            assert await found.authenticate(b"odder", "p:p*")
            assert not await found.authenticate(b"odder", "p:p")
    finally:
        slapd.delete(f"cn={escaped}+uid=odder,{slapd.people_dn}")


async def test_many_at_once_share_few_connections(slapd: Server) -> None:
    """A hundred requests at once are all answered, over no more connections than allowed."""
    async with directory(slapd, objectID="uid", connections=3) as found:
        entries = await asyncio.gather(*(found.fetch(b"anna.schmidt") for _ in range(100)))
        assert all(entries)
        assert len(found._pool._idle) <= 3


async def test_a_restart_goes_unnoticed(slapd: Server) -> None:
    """A pooled connection that the server has closed is replaced; while the server is away that is said."""
    async with directory(slapd) as found:
        assert await found.fetch(GUID)
        slapd.stop()
        try:
            with pytest.raises(UnavailableError, match="refuses connections"):
                await found.fetch(GUID)
            with pytest.raises(UnavailableError):
                await found.authenticate(GUID, "x")
        finally:
            slapd.start()
        assert await found.fetch(GUID)
        slapd.stop()
        slapd.start()
        assert await found.fetch(GUID)


async def test_old_connections_are_not_reused(slapd: Server) -> None:
    """A connection that was idle for too long is closed instead of reused."""
    async with directory(slapd, max_idle=0) as found:
        assert await found.fetch(GUID)
        session = found._pool._idle[0][1]
        assert await found.fetch(GUID)
        assert not session.alive
