"""postroom import --from: what responds there is anything but an installation of the API."""

import asyncio
import gzip
import io
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from postroom.app.exchange import remote
from postroom.app.exchange.remote import Remote, RemoteError, log_in, new_session
from postroom.storage.database import Database
from tests.support.commands import ran

pytestmark = pytest.mark.sqlite

Answer = Callable[[web.Request], Any]

_DOMAINS = {"/system/domains": [{"ID": 1, "domainname": "example.org"}]}


@asynccontextmanager
async def installation(answer: Answer) -> AsyncIterator[str]:
    """The URL of an API that responds with whatever this function returns: a response, or a document."""

    async def handle(request: web.Request) -> web.StreamResponse:
        found = answer(request)
        return found if isinstance(found, web.StreamResponse) else web.json_response(found)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(app) as server:
        yield str(server.make_url("/api/v1"))


def lists(more: Mapping[str, Any]) -> Answer:
    """Responds with these lists below their paths, and with an empty one elsewhere."""

    def answer(request: web.Request) -> Any:
        found = more.get(request.path.removeprefix("/api/v1"), [])
        return found(request) if callable(found) else {"count": len(found), "data": found}

    return answer


async def read(answer: Answer) -> list[bytes]:
    """The lines of everything that such an installation tells."""
    stream = io.BytesIO()
    async with installation(answer) as url, new_session() as session:
        await Remote(session, url, "token").write_lines(stream, lambda *_: None)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_the_login_goes_nowhere_else(status: int, tmp_path: Path) -> None:
    """An installation that leads to another host gets that host neither the password nor the token."""
    asked: list[str] = []

    def note(request: web.Request) -> Any:
        asked.append(request.path)
        return {}

    await (await Database.open(str(tmp_path / "here.sqlite3"))).close()
    async with installation(note) as elsewhere:
        there = elsewhere.replace("127.0.0.1", "localhost")

        def lead(request: web.Request) -> Any:
            return web.Response(status=status, headers={"Location": f"{there}{request.path}"})

        async with installation(lead) as url:
            for login in (["--user", "admin", "--password-stdin"], []):
                done = await asyncio.to_thread(
                    ran, "import", "--from", url, *login, "--database", str(tmp_path / "here.sqlite3"),
                    given="secret\n", environ={"POSTROOM_TOKEN": "token"},
                )  # fmt: skip
                assert done.code == 3
                assert f"leads to {there}" in done.err
    assert asked == []


@pytest.mark.parametrize(
    "document",
    [
        b"", b"{", b"[" * 100_000, b'{"data": NaN}', b'{"data": ["\\ud800"]}', b"[]", b"null", b"7", b"{}",
        b'{"data": null}', b'{"data": 7}', b'{"data": [7]}', b'{"data": [{}]}', b'{"data": [{"ID": []}]}',
        b'{"data": [{"ID": 1, "domainname": {}}]}', b'{"data": [{"ID": 1, "domainname": "x", "permissions": [7]}]}',
        b'{"data": [{"ID": 1, "name": ' + b"[" * 500 + b"]" * 500 + b"}]}",
    ],
)  # fmt: skip
async def test_other_documents(document: bytes) -> None:
    """End it with one reason, and nothing else is taken for a bug of postroom."""
    with pytest.raises(RemoteError, match="/api/v1"):
        await read(lambda _: web.Response(body=document, content_type="application/json"))


async def test_a_login_that_is_none() -> None:
    """Neither is a token with a line end in it, which would be further headers."""
    documents: list[Any] = [{}, [], {"grommunioAuthJwt": "a\r\nX-Evil: 1"}]
    for document in documents:
        async with installation(partial(_same, document)) as url, new_session() as session:
            with pytest.raises(RemoteError, match="/api/v1"):
                await Remote(session, url, await log_in(session, url, "admin", "secret")).write_lines(
                    io.BytesIO(), lambda *_: None
                )


def _same(document: Any, _request: web.Request) -> Any:
    return document


@pytest.mark.parametrize("packed", [True, False])
async def test_a_huge_response(packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is read no further than the bound, also when it is small until it is unpacked."""
    monkeypatch.setattr(remote, "_LARGEST", 1024 * 1024)
    body = b'{"data": [' + b" " * (8 * 1024 * 1024) + b"]}"

    def answer(_request: web.Request) -> web.Response:
        if packed:
            return web.Response(body=gzip.compress(body), headers={"Content-Encoding": "gzip"})
        return web.Response(body=body)

    with pytest.raises(RemoteError, match="more than 1,048,576 bytes"):
        await read(answer)


async def test_one_that_knows_no_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever part of a list is asked for, it responds with the whole: each user comes once."""
    users = [{"ID": number, "username": f"u{number}@example.org", "status": 5} for number in range(1200)]
    lines = await read(lists({**_DOMAINS, "/domains/1/users": users}))
    assert len([line for line in lines if b'"user"' in line]) == 1200
    monkeypatch.setattr(remote, "_MOST_USERS", 2000)

    def endless(request: web.Request) -> Any:
        first = int(request.query["offset"])
        return {"count": "7", "data": [{"ID": first + each, "status": 5} for each in range(500)]}

    with pytest.raises(RemoteError, match="/domains/1/users has no end"):
        await read(lists({**_DOMAINS, "/domains/1/users": endless}))
