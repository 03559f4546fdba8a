import asyncio
import base64
import gc
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from postroom.app.directory.client import Directory
from postroom.app.directory.config import from_document
from postroom.app.directory.mapping import map_entry
from postroom.app.errors import InvalidError, UnavailableError
from tests.support.directory import directory
from tests.support.slapd import USER_PASSWORD, Slapd, config_document, people_ldif

pytestmark = pytest.mark.slapd

GUID = bytes.fromhex("5c2a282900ff41")
BIND_SUCCESS = bytes.fromhex("300c02010161070a010004000400")
START_TLS_SUCCESS = bytes.fromhex("300c02010178070a010004000400")
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def slapd(certificate: tuple[Path, Path]) -> Iterator[Slapd]:
    with Slapd(certificate) as server:
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


@asynccontextmanager
async def fault_server(handler: Handler) -> AsyncIterator[str]:
    """The address of a server that treats its clients like that."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handler(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)


async def dies_after_bind(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1000)
    writer.write(BIND_SUCCESS)
    await reader.read(10)


async def silent_after_bind(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1000)
    writer.write(BIND_SUCCESS)
    await asyncio.sleep(60)


async def silent_after_starttls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1000)
    writer.write(START_TLS_SUCCESS[:5])
    await asyncio.sleep(0.05)
    writer.write(START_TLS_SUCCESS[5:])
    await asyncio.sleep(60)


async def talks_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 300)
    await asyncio.sleep(60)


async def test_check_accepts_a_good_configuration(slapd: Slapd) -> None:
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
async def test_check_names_the_fault(slapd: Slapd, changes: dict[str, Any], reason: str) -> None:
    """A fault of the configuration is the administrator's error, with a reason and without the password."""
    async with directory(slapd, **changes) as found:
        with pytest.raises(InvalidError, match=reason) as caught:
            await found.check()
        assert "geheim" not in caught.value.message
        assert "geheim" not in repr(found)


async def test_fetch_finds_binary_ids(slapd: Slapd) -> None:
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
async def test_fetch_of_an_unknown_id(slapd: Slapd, other: bytes) -> None:
    """An unknown object ID, also one that looks like a filter, is None."""
    async with directory(slapd) as found:
        assert await found.fetch(other) is None


async def test_fetched_people_can_be_mapped(slapd: Slapd) -> None:
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


async def test_fetch_obeys_the_filters(slapd: Slapd) -> None:
    """What the user filter leaves out is not there, unless the contact filter lets it in as a contact."""
    async with directory(slapd) as found:
        assert await found.fetch(b"contact") is None
    async with directory(slapd, users__contactFilter="(objectClass=organizationalRole)") as found:
        entry = await found.fetch(b"contact")
        assert entry is not None
        assert entry.is_contact


async def test_an_id_that_is_not_unique(slapd: Slapd) -> None:
    """An object ID that several entries have is an error, and the connection stays usable."""
    async with directory(slapd, objectID="objectClass") as found:
        with pytest.raises(InvalidError, match="Several"):
            await found.fetch(b"inetOrgPerson")
        assert await found.fetch(b"nothing") is None


async def test_a_missing_base_is_no_missing_object(slapd: Slapd) -> None:
    """When the base DN is gone nobody becomes an orphan: the directory counts as unavailable."""
    async with directory(slapd, baseDn="ou=gone,dc=example,dc=com") as found:
        with pytest.raises(UnavailableError, match="base DN"):
            await found.fetch(GUID)


@pytest.mark.parametrize(
    ("password", "good"),
    [(USER_PASSWORD, True), ("wrong", False), ("", False), (f"{USER_PASSWORD}\0x", False), ("\ud800", False)],
)
async def test_authenticate(slapd: Slapd, password: str, good: bool) -> None:
    """Only the right password logs in: not an empty one, and not one that C would cut off."""
    async with directory(slapd, objectID="uid") as found:
        assert await found.authenticate(b"anna.schmidt", password) is good


async def test_authenticate_of_nobody(slapd: Slapd) -> None:
    """An unknown object and one without a password cannot log in."""
    async with directory(slapd) as found:
        assert await found.authenticate(b"nobody", USER_PASSWORD) is False
        assert await found.authenticate(GUID, USER_PASSWORD) is False


@pytest.mark.parametrize("cn", ['Groß, "J" +#1<>;=', r"a\2Cb", r"a\,b", "#1", " x ", "a/b*(c)"])
async def test_names_with_special_characters(slapd: Slapd, cn: str) -> None:
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


async def test_many_at_once_share_few_connections(slapd: Slapd) -> None:
    """A hundred requests at once are all answered, over no more connections than allowed."""
    async with directory(slapd, objectID="uid", connections=3) as found:
        entries = await asyncio.gather(*(found.fetch(b"anna.schmidt") for _ in range(100)))
        assert all(entries)
        assert len(found._pool._idle) <= 3


async def test_a_restart_goes_unnoticed(slapd: Slapd) -> None:
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


async def test_old_connections_are_not_reused(slapd: Slapd) -> None:
    """A connection that was idle for too long is closed instead of reused."""
    async with directory(slapd, max_idle=0) as found:
        assert await found.fetch(GUID)
        session = found._pool._idle[0][1]
        assert await found.fetch(GUID)
        assert not session.alive


@pytest.mark.parametrize("starttls", [True, False])
async def test_tls(slapd: Slapd, certificate: tuple[Path, Path], starttls: bool) -> None:
    """StartTLS and LDAPS work with the right CA file and refuse an unknown certificate unless told to trust."""
    changes: dict[str, Any] = {"connection__starttls": True} if starttls else {"connection__server": slapd.ldaps_url}
    async with directory(slapd, ca_file=str(certificate[0]), **changes) as found:
        assert await found.fetch(GUID)
        assert await found.authenticate(GUID, "wrong") is False
    async with directory(slapd, verify=False, **changes) as found:
        await found.check()
    async with directory(slapd, **changes) as found:
        with pytest.raises(UnavailableError, match="certificate is not trusted"):
            await found.check()


async def test_starttls_that_is_refused() -> None:
    """A server without TLS is not talked to in the clear when StartTLS is demanded."""
    with Slapd() as plain:
        async with directory(plain, connection__starttls=True) as found:
            with pytest.raises(UnavailableError, match="refuses to start TLS"):
                await found.check()


def test_an_unreadable_ca_file(slapd: Slapd) -> None:
    """A CA file that cannot be read is named."""
    with pytest.raises(InvalidError, match="/nowhere"):
        Directory(from_document(config_document(slapd)), ca_file="/nowhere")


@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
@pytest.mark.parametrize(
    "handler",
    [silent, silent_after_bind, silent_after_starttls, talks_nonsense],
    ids=lambda one: one.__name__,
)
async def test_a_stuck_server_stops_nobody(slapd: Slapd, handler: Handler, scheme: str) -> None:
    """While a server hangs the loop keeps ticking, almost no CPU is burnt, and the time limit holds."""
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            ticks.append(time.monotonic())
            await asyncio.sleep(0.01)

    async with (
        fault_server(handler) as address,
        directory(
            slapd,
            0.4,
            connection__server=f"{scheme}://{address}",
            connection__starttls=handler is silent_after_starttls,
        ) as found,
    ):
        ticker = asyncio.create_task(tick())
        begun, cpu = time.monotonic(), time.process_time()
        with pytest.raises(UnavailableError, match=address):
            await found.fetch(GUID)
        assert time.monotonic() - begun < 1
        assert time.process_time() - cpu < 0.2
        ticker.cancel()
        assert max((b - a for a, b in pairwise(ticks)), default=0) < 0.2


@pytest.mark.parametrize("handler", [hangs_up, dies_after_bind], ids=lambda one: one.__name__)
async def test_a_server_that_dies(slapd: Slapd, handler: Handler) -> None:
    """A server that hangs up in the middle is reported at once."""
    async with fault_server(handler) as address, directory(slapd, connection__server=address) as found:
        begun = time.monotonic()
        with pytest.raises(UnavailableError, match="closed the connection"):
            await found.fetch(GUID)
        assert time.monotonic() - begun < 1


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
        async with fault_server(silent) as hanging:
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
            fault_server(silent_after_bind) as address,
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
