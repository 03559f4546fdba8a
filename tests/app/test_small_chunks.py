"""Bodies in very many chunks, and whatever else is long to parse: in pieces, between which everybody else has turns."""

import asyncio
from typing import cast

import pytest

from postroom.app.server.connections import Pieces, Watched
from tests.support.raw import assert_shape, talk
from tests.support.service import Service

pytestmark = pytest.mark.attack


def chunked(path: str, chunk: bytes, number: int) -> bytes:
    """A request with a body of so many chunks."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode() + (b"%x\r\n%b\r\n" % (len(chunk), chunk)) * number + b"0\r\n\r\n"


@pytest.mark.parametrize("path", ["/api/v1/login", "/api/v1/users", "/nowhere"])
@pytest.mark.parametrize("number", [10_000, 200_000])
async def test_very_small_chunks_are_refused(service: Service, path: str, number: int) -> None:
    """Chunks of a byte, many at the same moment, end the connection with an answer, whoever sends them where."""
    found = await talk(service, chunked(path, b" ", number), quiet=10)
    assert found.closed
    (answer,) = found.answers
    assert_shape(answer)
    assert answer.status in (400, 404, 405)
    if path == "/api/v1/login":
        assert answer.json["message"] == "The body comes in too many small chunks"


async def test_small_chunks_behind_a_refusal(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    """Chunks of a byte that follow an answer, while the rest of its body is discarded, fill no log."""
    begun, rest = chunked("/nowhere", b" ", 1)[:-5], b"1\r\n \r\n" * 10_000
    found = await talk(service, begun, rest, quiet=10)
    assert found.closed
    assert found.statuses == [404]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize(("chunk", "number"), [(b" ", 500), (b" " * 20, 700), (b" " * 100, 5_000)])
async def test_chunks_as_clients_send_them(service: Service, chunk: bytes, number: int) -> None:
    """A body in usual chunks is read as ever, and so is one in a few small ones; the connection goes on."""
    found = await talk(
        service, chunked("/api/v1/login", chunk, number), b"GET /api/v1/about HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    assert found.statuses == [413 if len(chunk) * number > 16 * 1024 else 400, 200]
    assert "chunks" not in found.answers[0].json["message"]


async def test_requests_in_many_pieces(service: Service) -> None:
    """What comes at once and is parsed in pieces is answered in its order, also where a piece ends inside a head."""
    long = b"GET /api/v1/about?%b HTTP/1.1\r\nHost: x\r\n\r\n"
    found = await talk(service, b"".join(long % (b"x" * (1000 + 37 * number)) for number in range(100)))
    assert found.statuses == [200] * 100
    body = b'{"user": "x", "pass": "%b"}' % (b"x" * 12_000)
    login = b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    found = await talk(service, (login % (len(body), body)) * 5)
    assert found.statuses == [400] * 5


class Endless:
    """A connection on which there is always more."""

    parsed = 0

    def parse_piece(self) -> bool:
        """Takes one."""
        self.parsed += 1
        return True


async def test_pieces_take_turns() -> None:
    """Nobody's pieces are in the way of another's, nor of anything else that the event loop has to do."""
    pieces, both = Pieces(), (Endless(), Endless())
    for one in (*both, *both):
        pieces.add(cast("Watched", one))
    for _ in range(20):
        await asyncio.sleep(0.001)
    first, second = (one.parsed for one in both)
    assert min(first, second) > 0
    assert abs(first - second) <= 1
