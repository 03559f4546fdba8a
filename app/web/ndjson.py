"""Requests and responses of many lines, each a JSON document (NDJSON), in both directions as fast as the client goes.

Lines are read only as fast as they are done, and done only as fast as the client takes the results, apart from
MOST_UNREAD bytes: so a client may write some ten thousand lines before it reads anything.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import orjson
from aiohttp import web
from aiohttp.http import HttpProcessingError

from postroom.app.errors import HungUpError, InvalidError, UnavailableError
from postroom.app.limits.in_flight import IN_FLIGHT
from postroom.app.limits.pace import Pace
from postroom.app.web.inputs import MAX_BODY, check_encoding, content_type_of
from postroom.app.web.json_texts import check_content_type
from postroom.app.web.keys import PACES
from postroom.app.web.responses import add_headers

CONTENT_TYPE: Final = "application/x-ndjson"
#: Longest line, in bytes: what a body may have.
LONGEST_LINE: Final = MAX_BODY
#: Most bytes of results that the client has not taken yet while more lines are read.
MOST_UNREAD: Final = 4 * 1024 * 1024
#: Most lines, and most bytes, that are read at a time.
_MOST_LINES: Final = 100
_MOST_BYTES: Final = 256 * 1024

_HEADERS: Final = {"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"}

#: The number of a line, from 1 on, and its bytes; None when it is longer than LONGEST_LINE.
RawLine = tuple[int, bytes | None]


def open_lines(request: web.Request) -> "tuple[LineReader, LineWriter]":
    """Both directions of a request. From now on it may last for as long as its client keeps it going.

    Raises UnsupportedError (a compressed body), InvalidError (another content type).
    """
    check_encoding(request)
    check_content_type(content_type_of(request), CONTENT_TYPE)
    request[PACES] = paces = Pace(), Pace()
    return LineReader(request, paces[0]), LineWriter(request, paces[1])


class LineReader:
    """The lines of a body as they arrive. Memory does not depend on their number."""

    def __init__(self, request: web.Request, pace: Pace) -> None:
        self._content = request.content
        self._pace = pace
        self._rest = bytearray()
        #: How much of the rest was searched for the end of a line.
        self._searched = 0
        self._number = 0
        self._is_skipping = False
        self._is_over = False

    async def read(self) -> list[RawLine]:
        """The next lines that are not empty, as many as there are, within bounds; none at the end.

        Raises InvalidError (the body is not encoded as its header says), SlowBodyError, HungUpError.
        """
        while True:
            lines = self._take()
            if lines or self._is_over:
                return lines
            received = await self._receive()
            self._is_over = not received
            # The last line may lack its end.
            self._rest += received or b"\n"

    async def _receive(self) -> bytes:
        try:
            with _watched(self._pace):
                received = await self._content.readany()
        except (web.RequestPayloadError, HttpProcessingError):
            raise InvalidError("The body is not encoded as its header says") from None
        self._pace.moved(len(received))
        return received

    def _take(self) -> list[RawLine]:
        lines: list[RawLine] = []
        start = 0
        while len(lines) < _MOST_LINES and start < _MOST_BYTES:
            end = self._rest.find(b"\n", max(start, self._searched))
            if end < 0:
                self._searched = len(self._rest)
                break
            self._number += 1
            if self._is_skipping or end - start > LONGEST_LINE:
                lines.append((self._number, None))
                self._is_skipping = False
            elif line := bytes(self._rest[start:end]).strip():
                lines.append((self._number, line))
            start = end + 1
        del self._rest[:start]
        self._searched = max(self._searched - start, 0)
        if self._searched > LONGEST_LINE:
            self._is_skipping = True
            self._rest.clear()
            self._searched = 0
        return lines


class LineWriter:
    """The lines of a response. Its head goes out with the first of them."""

    def __init__(self, request: web.Request, pace: Pace) -> None:
        self._request = request
        self._pace = pace
        self.response = web.StreamResponse(headers=_HEADERS)

    async def write(self, *documents: Any) -> None:
        """Sends lines, and waits while the client has too much left to read.

        Raises HungUpError, and UnavailableError when the service is about to end: then nothing more should be begun.
        """
        await self._send(documents)
        if self._request.app[IN_FLIGHT].stopping:
            raise UnavailableError("The service is stopping")

    async def end(self, document: Any) -> web.StreamResponse:
        """Sends the last line; returns the response. Raises HungUpError."""
        await self._send([document])
        with _watched(self._pace):
            await self.response.write_eof()
        self._limit_unread(None)
        return self.response

    async def _send(self, documents: Iterable[Any]) -> None:
        octets = b"".join(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE) for document in documents)
        with _watched(self._pace):
            if not self.response.prepared:
                self._limit_unread(MOST_UNREAD)
                add_headers(self.response)
                await self.response.prepare(self._request)
            await self.response.write(octets)
        self._pace.moved(len(octets))

    def _limit_unread(self, most: int | None) -> None:
        if self._request.transport is not None:
            self._request.transport.set_write_buffer_limits(most)


@contextmanager
def _watched(pace: Pace) -> Iterator[None]:
    """A wait for the client, who may hang up meanwhile."""
    try:
        with pace.waiting():
            yield
    except ConnectionError:
        raise HungUpError from None
