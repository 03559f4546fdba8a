"""Sends raw bytes to a service, which a client library would refuse to send."""

import asyncio
import json
import re
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from multidict import CIMultiDict

from tests.support.eavesdropper import header_faults
from tests.support.service import Answer, Service, assert_failure

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3}) [A-Za-z .-]+")
#: Seconds without a byte after which a connection is taken to stay open.
QUIET = 0.4
#: The same before the first byte, for which a busy machine may take its time.
PATIENCE = 5.0


@dataclass
class RawAnswer:
    """One response, unparsed."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The parsed body."""
        return json.loads(self.body)


@dataclass
class Talk:
    """The responses on a connection, and whether the service has closed it."""

    answers: list[RawAnswer]
    closed: bool

    @property
    def statuses(self) -> list[int]:
        """The status of each response."""
        return [answer.status for answer in self.answers]


async def connect(service: Service) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the service."""
    at = urlsplit(service.url)
    return await asyncio.open_connection(at.hostname, at.port)


async def talk(service: Service, *parts: bytes, head: bool = False, quiet: float = QUIET) -> Talk:
    """Sends the parts, each when the one before has arrived, and reads until the service closes or falls silent.

    The service must send complete HTTP responses; those to a HEAD have no body.
    """
    reader, writer = await connect(service)
    received, closed = b"", False
    try:
        for number, part in enumerate(parts):
            if number:
                await asyncio.sleep(0.02)
            writer.write(part)
            await writer.drain()
        while not closed:
            async with asyncio.timeout(quiet if received else max(quiet, PATIENCE)):
                read = await reader.read(65536)
            received += read
            closed = not read
    except TimeoutError:
        pass
    finally:
        writer.close()
    return Talk(parse(received, head=head), closed)


def parse(received: bytes, *, head: bool = False) -> list[RawAnswer]:
    """The responses in the received bytes, without a 100. An incomplete response is an error."""
    answers = []
    while received:
        start, separator, received = received.partition(b"\r\n\r\n")
        assert separator, start
        line, *lines = start.split(b"\r\n")
        found = _STATUS_LINE.fullmatch(line)
        assert found, line
        status = int(found[1])
        if status == 100:
            continue
        headers = {}
        for each in lines:
            name, _, value = each.decode("ascii").partition(": ")
            assert name.lower() not in headers, name
            headers[name.lower()] = value
        length = 0 if head else int(headers["content-length"])
        body, received = received[:length], received[length:]
        assert len(body) == length
        answers.append(RawAnswer(status, headers, body))
    return answers


def assert_shape(answer: RawAnswer) -> None:
    """Every response has one shape: JSON that is not cached, with a message of one line."""
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert header_faults(CIMultiDict(answer.headers)) == []
    body = answer.json
    assert body["message"].isprintable(), body
    if answer.status >= 400:
        assert_failure(Answer(answer.status, answer.headers, body))


def reset(writer: asyncio.StreamWriter) -> None:
    """Resets the connection, as a client does that loses power."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
