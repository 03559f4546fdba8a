"""The fuzzer notices faults: a fake server has them, because the real one cannot be made to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from postroom.app.errors import InvalidError
from tests.fuzz import drive, schemas
from tests.fuzz.cases import case
from tests.support.service import Service

pytestmark = pytest.mark.attack

OK = b'{"message": "Fine"}'


@asynccontextmanager
async def server(answer: Callable[[], bytes]) -> AsyncIterator[str]:
    """The URL of a server that sends these bytes in response to every head, and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with_head = await reader.read(65536)
        if with_head:
            writer.write(answer())
        writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with running:
        yield f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}"


def answer(status: int, body: bytes, content_type: str = "application/json") -> bytes:
    """A response that ends its connection."""
    head = (
        f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    )
    return head.encode() + b"\r\n" + body


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        (answer(200, OK), None),
        (answer(503, OK), None),
        (answer(500, OK), "status 500"),
        (answer(502, OK), "status 502"),
        (answer(400, b'{"message": ""}'), "without a message"),
        (answer(400, b'{"message": "Traceback (most recent call last)"}'), "shows the inside"),
        (answer(400, b"Bad", "text/plain"), "is no JSON"),
        (b"", "no whole answer"),
        (answer(200, OK)[:-3], "no whole answer"),
    ],
)
async def test_what_must_not_be_is_noticed(sent: bytes, found: str | None) -> None:
    """Each kind of wrong response is a failure that names its case; a correct one is not."""
    findings = drive.Findings()
    numbers = [number for number in range(200) if case(1, number, "token").answers == 1]
    async with server(lambda: sent) as url:
        await drive.drive(url, lambda: "token", 1, range(numbers[0], numbers[0] + 1), findings, lambda: None)
    if found is None:
        assert findings.failures == []
    else:
        (failure,) = findings.failures
        assert found in failure
        assert failure.startswith(f"case {numbers[0]}: ")


async def test_a_case_follows_from_its_number(service: Service) -> None:
    """A number always makes the same bytes, another seed makes others, and cases reach their operations."""
    assert [case(1, number, "t") for number in range(50)] == [case(1, number, "t") for number in range(50)]
    assert [case(1, number, "t") for number in range(50)] != [case(2, number, "t") for number in range(50)]
    findings = drive.Findings()
    await drive.drive(service.url, lambda: "t", 1, range(300), findings, lambda: None)
    assert findings.failures == []
    assert sum(findings.answers.values()) == 300


def test_a_schema_that_fails_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception other than InvalidError is reported on its own line; the schemas of every operation are tried."""
    assert list(schemas.load_anything(1, 500, lambda: None)) == []
    assert len(schemas.schemas()) > 60

    def load(_schema: object, _given: object) -> None:
        raise KeyError("inside")

    monkeypatch.setattr(schemas, "load", load)
    assert all("KeyError" in line for line in schemas.load_anything(1, 3, lambda: None))

    def refuse(_schema: object, _given: object) -> None:
        raise InvalidError("Refused", [1])  # type: ignore[list-item]

    monkeypatch.setattr(schemas, "load", refuse)
    assert len(list(schemas.load_anything(1, 3, lambda: None))) == 3
