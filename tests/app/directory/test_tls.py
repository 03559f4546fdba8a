import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from postroom.app.directory.client import Directory
from postroom.app.directory.config import from_document
from postroom.app.errors import InvalidError, UnavailableError
from tests.support.certificates import Pair, make_authority, make_certificate
from tests.support.directory import directory
from tests.support.slapd import USER_PASSWORD, Slapd, config_document, people_ldif

pytestmark = pytest.mark.slapd


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Pair:
    return make_authority(folder)


@pytest.fixture(scope="module")
def slapd(folder: Path, authority: Pair) -> Iterator[Slapd]:
    with Slapd(make_certificate(folder / "good", authority, "IP:127.0.0.1")) as server:
        server.add(people_ldif(2))
        yield server


@pytest.fixture(scope="module")
def misnamed(folder: Path, authority: Pair) -> Iterator[Slapd]:
    with Slapd(make_certificate(folder / "misnamed", authority, "DNS:ldap.example.com,IP:127.0.0.2")) as server:
        server.add(people_ldif(2))
        yield server


def encrypted(server: Slapd, how: str) -> dict[str, Any]:
    return {"connection__starttls": True} if how == "starttls" else {"connection__server": server.ldaps_url}


@pytest.mark.parametrize("how", ["starttls", "ldaps"])
async def test_a_known_authority(slapd: Slapd, authority: Pair, how: str) -> None:
    """A server whose certificate comes from the authority of the CA file is asked, by StartTLS or LDAPS."""
    async with directory(slapd, objectID="uid", ca_file=str(authority[0]), **encrypted(slapd, how)) as found:
        await found.check()
        assert await found.fetch(b"anna.schmidt")
        assert await found.authenticate(b"anna.schmidt", USER_PASSWORD) is True
        assert await found.authenticate(b"anna.schmidt", "wrong") is False
        assert [len(page) async for page in found.pages(1)] == [1, 1]


@pytest.mark.parametrize("how", ["starttls", "ldaps"])
async def test_hanging_up_on_a_server_that_hangs(slapd: Slapd, authority: Pair, how: str) -> None:
    """A connection closes at once: it does not wait for the server to say goodbye, as TLS would have it."""
    async with directory(slapd, ca_file=str(authority[0]), **encrypted(slapd, how)) as found:
        await found.check()
        session = found._pool._idle[0][1]
        slapd.pause()
        try:
            await found.close()
            await asyncio.sleep(0.05)
            assert not session.alive
        finally:
            slapd.resume()


@pytest.mark.parametrize("how", ["starttls", "ldaps"])
async def test_an_unknown_authority(slapd: Slapd, folder: Path, how: str) -> None:
    """Without the CA file, or with another, nothing is said to the server, unless it is to be trusted all the same."""
    other = make_authority(folder, "other")
    for ca_file in (None, str(other[0])):
        async with directory(slapd, ca_file=ca_file, **encrypted(slapd, how)) as found:
            with pytest.raises(UnavailableError, match="certificate is not trusted"):
                await found.check()
    async with directory(slapd, verify=False, **encrypted(slapd, how)) as found:
        await found.check()


@pytest.mark.parametrize("how", ["starttls", "ldaps"])
async def test_another_name(misnamed: Slapd, authority: Pair, how: str) -> None:
    """A good certificate for another host is refused, and the reason names the host."""
    async with directory(misnamed, ca_file=str(authority[0]), **encrypted(misnamed, how)) as found:
        with pytest.raises(UnavailableError, match=r"not trusted .*127\.0\.0\.1"):
            await found.check()
    async with directory(misnamed, verify=False, **encrypted(misnamed, how)) as found:
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
