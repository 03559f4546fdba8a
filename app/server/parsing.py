"""Parses incoming bytes: one head at a time, long input in pieces. Ends bodies in which the parser finds an error."""

from typing import TYPE_CHECKING, Any, Final

from aiohttp import EMPTY_PAYLOAD, StreamReader, web
from aiohttp.http import RawRequestMessage
from aiohttp.web_protocol import MAX_MSG_QUEUE_SIZE

from postroom.app.errors import InvalidError
from postroom.app.server.timed import TimedConnection

if TYPE_CHECKING:
    from postroom.app.server.runner import Server

_END_OF_HEAD: Final = b"\r\n\r\n"
_LINE_ENDS: Final = (b"\r", b"\n")
#: Most bytes that are parsed at once. Longer input waits in a queue and is parsed in pieces: see Pieces.
_AT_ONCE: Final = 4 * 1024
_PIECE: Final = 16 * 1024
#: Most chunks of a body in one piece. More means a few bytes in each chunk, and each costs as much as a kilobyte.
_MOST_CHUNKS: Final = 1024
#: Most requests that wait on a connection; aiohttp has the same limit.
_WAITING: Final = MAX_MSG_QUEUE_SIZE


#: Called for every request, where super() would cost time.
_parse = web.RequestHandler.data_received


class ParsingConnection(TimedConnection):
    """A connection that parses fairly, and notices input that is not HTTP."""

    __slots__ = ("_body", "_rest")

    def __init__(self, manager: "Server", **options: Any) -> None:
        super().__init__(manager, **options)
        #: Bytes that are read but not parsed yet, because enough requests wait already.
        self._rest = b""
        #: The body of the request that got the last response; parts of it may still arrive.
        self._body: StreamReader = EMPTY_PAYLOAD

    def data_received(self, data: bytes) -> None:
        """Parses short input now, long input later. aiohttp calls it with no data to continue after a pause."""
        if data and (self._later or len(data) > _AT_ONCE):
            self._later += data
            self._pause_transport_reading()
            self._watched.pieces.add(self)
        else:
            self._receive(data)

    def parse_piece(self) -> bool:
        """Parses one piece of the waiting bytes; returns whether more can be parsed now."""
        piece, self._later = self._later[:_PIECE], self._later[_PIECE:]
        body = self._last_body()
        before = _count_chunks(body)
        self._receive(piece)
        if self._last_body() is not body:
            body, before = self._last_body(), 0
        if not self._broken and _count_chunks(body) - before > _MOST_CHUNKS:
            self._break_off(InvalidError("The body comes in too many small chunks"))
        if self._broken or self.transport is None:
            self._later = b""
        if self._reading_paused or self._buffer_paused:
            return False  # until aiohttp resumes reading
        if not self._later:
            self._resume_transport_reading()
        return bool(self._later)

    def _resume_transport_reading(self) -> None:
        if self._later:
            self._watched.pieces.add(self)
        else:
            super()._resume_transport_reading()

    def _receive(self, data: bytes) -> None:
        """Parses one head at a time: in one call, an invalid head would discard the valid ones before it."""
        if self._broken:
            return
        # Nearly always the data is exactly one head. If not, it may begin with the rest of a split line end.
        if data.find(_END_OF_HEAD, 0, -1) >= 0 or data[:1] in _LINE_ENDS or self._rest:
            data = self._parse_heads(self._rest + data)
        _parse(self, data)
        messages = self._messages
        if messages:
            if type(messages[-1][0]) is not RawRequestMessage:
                self._break_off(web.RequestPayloadError("The body is not encoded as its header says"))
        elif self._waiter is not None and self._head_number != self._request_count:
            # The connection waits for a head, and this is only a part of one.
            self._head_number = self._request_count
            self._head_since = self._loop.time()

    def _parse_heads(self, data: bytes) -> bytes:
        """Parses all complete heads; returns the bytes after the last one."""
        self._rest = b""
        start = 0
        end = len(data) - len(data.lstrip(b"\r\n")) if data[:1] in _LINE_ENDS else _end_of_head(data, 0)
        # Empty lines in bodies look like the ends of heads; the limit bounds the time that they cost.
        for _ in range(2 * _WAITING):
            if not start < end < len(data):
                break
            _parse(self, data[start:end])
            start, end = end, _end_of_head(data, end)
            messages = self._messages
            if messages and type(messages[-1][0]) is not RawRequestMessage:
                return b""
            if len(messages) >= _WAITING:
                # aiohttp stops reading until some requests have their response, and then calls again.
                self._rest = data[start:]
                return b""
        return data[start:]

    def _break_off(self, reason: Exception) -> None:
        # When the parser finds an error in a body, it leaves the body unfinished, and its reader would wait for ever.
        self._broken = True
        for body in (self._body_now(), *(body for _, body in self._messages)):
            if not body.is_eof():
                body.set_exception(reason)

    def _body_now(self) -> StreamReader:
        """The body of the current request; between requests, that of the previous one."""
        return self._body if self._current_request is None else self._current_request.content

    def _last_body(self) -> StreamReader:
        """The body that may still be arriving."""
        return self._messages[-1][1] if self._messages else self._body_now()


def _count_chunks(body: StreamReader) -> int:
    """The number of chunks that have arrived and are not read yet."""
    return len(getattr(body, "_http_chunk_splits", None) or ())


def _end_of_head(data: bytes, start: int) -> int:
    """Where the head that begins at `start` ends; 0 if its end is missing."""
    found = data.find(_END_OF_HEAD, start)
    return found + len(_END_OF_HEAD) if found >= 0 else 0
