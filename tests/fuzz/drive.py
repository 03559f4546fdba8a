"""Sends cases over many connections at once, looks at every answer, and at how long somebody else has to wait."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.fuzz.cases import Case, case

#: Seconds for an answer to something that is whole.
_PATIENCE = 20.0
#: Seconds without a byte after which something that may be cut off is taken to get no answer.
_QUIET = 0.05
CONNECTIONS = 24


@dataclass
class Findings:
    """What came of the cases so far."""

    #: (kind, first digit of the status, or "none") -> how many.
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: What must not be, one line each.
    failures: list[str] = field(default_factory=list)
    #: Seconds that an answer to somebody else took, one after the other.
    waits: list[float] = field(default_factory=list)

    def fail(self, number: int, what: str, sent: bytes) -> None:
        """Something that must not be."""
        self.failures.append(f"case {number}: {what}: {sent[:300]!r}")


class _Client:
    """A connection that is made anew whenever the server has ended it."""

    def __init__(self, url: str) -> None:
        at = urlsplit(url)
        self._at = (at.hostname, at.port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, sent: bytes) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, body) of the one answer."""
        for fresh in (False, True):
            if self._streams is None or fresh:
                self.close()
                self._streams = await asyncio.open_connection(*self._at)
            reader, writer = self._streams
            try:
                writer.write(sent)
                return await _answer(reader)
            except (ConnectionError, asyncio.IncompleteReadError):
                # The server may end a connection after any answer; twice in a row is a fault.
                if fresh:
                    raise
        raise AssertionError

    async def throw(self, sent: bytes) -> list[int]:
        """The statuses that come back to what may be anything at all, on a connection of its own."""
        reader, writer = await asyncio.open_connection(*self._at)
        statuses: list[int] = []
        try:
            writer.write(sent)
            while True:
                async with asyncio.timeout(_QUIET if not statuses else 0.01):
                    await reader.readexactly(1)
                async with asyncio.timeout(_PATIENCE):
                    status, headers, _ = await _answer(reader, begun=b"H")
                statuses.append(status)
                if headers.get("connection") == "close":
                    return statuses
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            return statuses
        finally:
            writer.close()

    def close(self) -> None:
        """Ends the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _answer(reader: asyncio.StreamReader, begun: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    head = begun + await reader.readuntil(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): text.strip() for name, _, text in (each.partition(":") for each in lines if each)}
    status = int(line.split()[1])
    if status == 100:
        return await _answer(reader)
    if headers.get("transfer-encoding") == "chunked":
        return status, headers, await _chunks(reader)
    return status, headers, await reader.readexactly(int(headers.get("content-length", "0")))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body


async def drive(
    url: str, token: Callable[[], str], seed: int, numbers: range, findings: Findings, step: Callable[[], None]
) -> None:
    """Sends these cases; `token` is asked for each, `step` called after each."""
    left = iter(numbers)
    await asyncio.gather(*(_send(url, token, seed, left, findings, step) for _ in range(CONNECTIONS)))


async def _send(
    url: str, token: Callable[[], str], seed: int, left: Iterator[int], findings: Findings, step: Callable[[], None]
) -> None:
    client = _Client(url)
    for number in left:
        made = case(seed, number, token())
        try:
            await _one(client, number, made, findings)
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, ValueError, IndexError) as error:
            findings.fail(number, f"no whole answer ({type(error).__name__})", made.sent)
            client.close()
        step()
    client.close()


async def _one(client: _Client, number: int, made: Case, findings: Findings) -> None:
    if made.answers is None:
        statuses = await client.throw(made.sent)
    else:
        async with asyncio.timeout(_PATIENCE):
            status, headers, body = await client.ask(made.sent)
        statuses = [status]
        _look_at_body(number, made, status, headers, body, findings)
    findings.answers[made.kind, "none" if not statuses else f"{statuses[-1] // 100}xx"] += 1
    for status in statuses:
        # Without a directory all that would ask it says that it is away; other versions of HTTP are not spoken.
        if status >= 500 and status not in (503, 505):
            findings.fail(number, f"status {status}", made.sent)


def _look_at_body(
    number: int, made: Case, status: int, headers: dict[str, str], body: bytes, findings: Findings
) -> None:
    if headers.get("content-type") == "application/x-ndjson":
        for line in map(json.loads, body.splitlines()):
            if line.get("status", 200) >= 400:
                _look_at_error(number, made, line, findings)
            if line.get("status") == 500:
                findings.fail(number, "status 500 of a line", made.sent)
        return
    if not headers.get("content-type", "").startswith("application/json"):
        findings.fail(number, f"{headers.get('content-type')!r} is no JSON", made.sent)
        return
    if status >= 400:
        _look_at_error(number, made, json.loads(body), findings)


def _look_at_error(number: int, made: Case, error: Any, findings: Findings) -> None:
    if not (isinstance(error, dict) and isinstance(error.get("message"), str) and error["message"]):
        findings.fail(number, "an error without a message", made.sent)
    elif any(inside in str(error) for inside in ("Traceback", "sqlite")):
        findings.fail(number, "an error that shows the inside", made.sent)


async def watch(url: str, findings: Findings) -> None:
    """Somebody else, who asks for the status again and again until cancelled."""
    client = _Client(url)
    sent = b"GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    while True:
        begun = time.perf_counter()
        try:
            await client.ask(sent)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            findings.failures.append(f"somebody else got no answer: {error!r}")
            client.close()
        findings.waits.append(time.perf_counter() - begun)
        await asyncio.sleep(0.01)
