"""Real clients take the faults of a server of a test for those of a network."""

import json
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from http.client import IncompleteRead, RemoteDisconnected
from typing import Any

import aiohttp
import httpx
import pytest
import requests

from postroom.testing import PASSWORD, BlockingServer, running, running_in_thread

USER = "/api/v1/domains/1/users/1"
MANY = "/api/v1/domains/1/users?limit=1000&level=2"


@pytest.fixture(scope="module")
def only_server() -> Iterator[BlockingServer]:
    """A server with 300 users, whose list is sent in pieces."""
    with running_in_thread({"users": [f"user{number}" for number in range(300)]}) as started:
        yield started


@pytest.fixture
def server(only_server: BlockingServer) -> BlockingServer:
    """The same, as at its beginning."""
    only_server.reset()
    return only_server


def ask_urllib(url: str, token: str) -> bytes:
    """The body, by the standard library."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310
    with urllib.request.urlopen(request) as response:  # noqa: S310
        read: bytes = response.read()
        return read


def ask_requests(url: str, token: str) -> bytes:
    """The body, by requests and urllib3."""
    return requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=60).content


def ask_httpx(url: str, token: str) -> bytes:
    """The body, by httpx."""
    return httpx.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=60, verify=False).content  # noqa: S501


class CurlError(Exception):
    """Its number says what went wrong."""


def ask_curl(url: str, token: str) -> bytes:
    """The body, by curl."""
    curl = shutil.which("curl")
    assert curl is not None
    done = subprocess.run([curl, "-sS", "-H", f"Authorization: Bearer {token}", url], capture_output=True, check=False)
    if done.returncode:
        raise CurlError(str(done.returncode))
    return done.stdout


Ask = Callable[[str, str], bytes]

#: What each client raises when a connection is closed without an answer, when it is reset, and whenever it is cut.
CLIENTS: list[tuple[Ask, Any, Any, Any]] = [
    (ask_urllib, RemoteDisconnected, ConnectionResetError, (IncompleteRead, ConnectionResetError)),
    (ask_requests, requests.ConnectionError, requests.ConnectionError, requests.RequestException),
    (ask_httpx, httpx.RemoteProtocolError, httpx.ReadError, httpx.TransportError),
    (ask_curl, CurlError, CurlError, CurlError),
]


@pytest.mark.parametrize("path", [USER, MANY])
@pytest.mark.parametrize(("ask", "closed", "reset", "cut_off"), CLIENTS)
def test_cuts(server: BlockingServer, path: str, ask: Ask, closed: Any, reset: Any, cut_off: Any) -> None:
    """Nobody takes a cut for an answer; the next request works."""
    for cut, resets, expected in [
        ("before", False, closed), ("before", True, reset), ("middle", False, cut_off), ("middle", True, cut_off),
        # Of an answer that is sent in pieces, the head has gone out when the rest is lost.
        ("after", False, closed if path == USER else cut_off), ("after", True, reset if path == USER else cut_off),
    ]:  # fmt: skip
        server.faults.add(cut=cut, reset=resets, times=1)  # type: ignore[arg-type]
        with pytest.raises(expected):
            ask(server.url + path, server.admin.token or "")
        assert json.loads(ask(server.url + path, server.admin.token or ""))
    statuses = [None, 200, None, 200, *[200] * 8]
    assert [(request.status, len(request.faults)) for request in server.requests] == list(
        zip(statuses, [1, 0] * 6, strict=True)
    )


@pytest.mark.parametrize("path", [USER, MANY])
@pytest.mark.parametrize("broken", ["truncated", "garbled", "empty"])
def test_broken_bodies(server: BlockingServer, path: str, broken: Any) -> None:
    """The HTTP is right, the body is none, and the connection goes on."""
    server.faults.add(broken=broken, times=1)
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {server.admin.token}"
        answer, whole = (session.get(server.url + path, timeout=60) for _ in range(2))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    if broken == "truncated":
        assert whole.content.startswith(answer.content)
    assert 0 < len(answer.content) < len(whole.content) if broken == "truncated" else answer.content[:1] != b"{"
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def test_what_is_half_sent_arrives(server: BlockingServer) -> None:
    """The head and a half of the body, also before a reset."""
    for reset in (False, True):
        server.faults.add(cut="middle", reset=reset, times=1)
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as connection:
            connection.sendall(
                f"GET {USER} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {server.admin.token}\r\n\r\n".encode()
            )
            received = b""
            try:
                while data := connection.recv(65536):
                    received += data
                closed = True
            except ConnectionResetError:
                closed = False
        head, _, body = received.partition(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length"))
        assert (closed, len(body)) == (not reset, length // 2)
        assert b"X-Request-ID" in head


def test_head_requests(server: BlockingServer) -> None:
    """They have no body that could be cut or broken."""
    for fault in ({"cut": "middle"}, {"broken": "garbled"}):
        for path in (USER, MANY):
            server.faults.clear()
            server.faults.load(fault)
            headers = {"Authorization": f"Bearer {server.admin.token}"}
            assert requests.head(server.url + path, headers=headers, timeout=60).status_code == 200


@pytest.mark.parametrize("port", [0, None])
async def test_the_client_of_the_server(port: int | None) -> None:
    """With a port and without; what was stored is stored although the answer is lost."""
    async with running({"users": ["anna"]}, port=port) as server, server.client() as client:
        client.headers["Authorization"] = f"Bearer {server.admin.token}"
        for cut, lang in [("before", ""), ("middle", "de_DE"), ("after", "fr_FR")]:
            server.faults.add(cut=cut, times=1)  # type: ignore[arg-type]
            with pytest.raises(aiohttp.ClientError):
                async with client.patch(USER, json={"lang": lang}) as response:
                    await response.read()
            assert (await server.admin.get("/domains/1/users/1"))["lang"] == lang


async def test_aiohttp_asks_again_by_itself() -> None:
    """Where a connection that it kept ends, and the method allows it: the journal shows both."""
    async with running({"users": ["anna"]}) as server, server.client() as client:
        client.headers["Authorization"] = f"Bearer {server.admin.token}"
        server.faults.add(cut="before", times=1, skip=1)
        for _ in range(2):
            async with client.get(USER) as response:
                assert response.status == 200
        assert [request.status for request in server.requests] == [200, None, 200]


async def test_lines() -> None:
    """A bulk request meets faults, too: the work is done or not as with any other."""
    line = json.dumps({"create": {"username": "bert", "password": PASSWORD}}).encode() + b"\n"
    async with running({"users": ["anna"]}) as server, server.client() as client:
        client.headers["Authorization"] = f"Bearer {server.admin.token}"
        client.headers["Content-Type"] = "application/x-ndjson"
        for cut, count in [("before", 1), ("after", 2), ("middle", 2)]:
            server.faults.add(cut=cut, times=1)  # type: ignore[arg-type]
            with pytest.raises(aiohttp.ClientError):
                async with client.post("/api/v1/domains/1/users/bulk", data=line) as response:
                    await response.read()
            assert (await server.admin.get("/domains/1/users"))["count"] == count
        server.faults.add(broken="truncated", times=1)
        async with client.post("/api/v1/domains/1/users/bulk", data=line) as response:
            assert response.status == 200
            with pytest.raises(json.JSONDecodeError):
                [json.loads(line) for line in (await response.text()).splitlines()]
