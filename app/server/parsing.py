"""Parsing what comes in: head by head, what is long in pieces, and without trust in the parser's end of a body."""

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
#: Bytes that are parsed at once. More of them wait for their turn, piece by piece: see Pieces.
_AT_ONCE: Final = 4 * 1024
_PIECE: Final = 16 * 1024
#: Chunks of a body in one piece. Whoever sends more sends a few bytes in each, and each costs as much as a kilobyte.
_MOST_CHUNKS: Final = 1024
#: Most requests that wait for their turn on a connection, as aiohttp has it.
_WAITING: Final = MAX_MSG_QUEUE_SIZE


#: On the way of every request, where super() takes its time.
_parse = web.RequestHandler.data_received


class ParsingConnection(TimedConnection):
    """A connection that parses fairly, and notices when what comes in is no HTTP."""

    __slots__ = ("_body", "_rest")

    def __init__(self, manager: "Server", **options: Any) -> None:
        super().__init__(manager, **options)
        #: What has been read and is not parsed yet, because enough requests wait.
        self._rest = b""
        #: Of the request that was answered last; it may still be on its way.
        self._body: StreamReader = EMPTY_PAYLOAD

    def data_received(self, data: bytes) -> None:
        """Parses what has arrived; what is long, later. aiohttp calls it with nothing to go on where it has paused."""
        if data and (self._later or len(data) > _AT_ONCE):
            self._later += data
            self._pause_transport_reading()
            self._watched.pieces.add(self)
        else:
            self._receive(data)

    def parse_piece(self) -> bool:
        """Parses a piece of what waits; whether there is more that can be parsed now."""
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
        """Parses head by head: what the parser refuses would take those with it that came in the same read."""
        if self._broken:
            return
        # Nearly always it is one head and nothing else. If not, it may begin with an end that came in two reads.
        if data.find(_END_OF_HEAD, 0, -1) >= 0 or data[:1] in _LINE_ENDS or self._rest:
            data = self._parse_heads(self._rest + data)
        _parse(self, data)
        messages = self._messages
        if messages:
            if type(messages[-1][0]) is not RawRequestMessage:
                self._break_off(web.RequestPayloadError("The body is not encoded as its header says"))
        elif self._waiter is not None and self._head_number != self._request_count:
            # It waits for a head, and this is not the whole of one.
            self._head_number = self._request_count
            self._head_since = self._loop.time()

    def _parse_heads(self, data: bytes) -> bytes:
        """Parses all but what comes after the last head; that is given back."""
        self._rest = b""
        start = 0
        end = len(data) - len(data.lstrip(b"\r\n")) if data[:1] in _LINE_ENDS else _end_of_head(data, 0)
        # Empty lines in bodies look like heads; beyond some, nothing is worth the time that they take.
        for _ in range(2 * _WAITING):
            if not start < end < len(data):
                break
            _parse(self, data[start:end])
            start, end = end, _end_of_head(data, end)
            messages = self._messages
            if messages and type(messages[-1][0]) is not RawRequestMessage:
                return b""
            if len(messages) >= _WAITING:
                # aiohttp reads no more until some are answered, and then calls again.
                self._rest = data[start:]
                return b""
        return data[start:]

    def _break_off(self, reason: Exception) -> None:
        # The parser leaves a body in which it finds a fault as it is, and whoever reads it would wait for ever.
        self._broken = True
        for body in (self._body_now(), *(body for _, body in self._messages)):
            if not body.is_eof():
                body.set_exception(reason)

    def _body_now(self) -> StreamReader:
        """That of the request that is being worked on, or was answered last."""
        return self._body if self._current_request is None else self._current_request.content

    def _last_body(self) -> StreamReader:
        """The one that may still be on its way."""
        return self._messages[-1][1] if self._messages else self._body_now()


def _count_chunks(body: StreamReader) -> int:
    """In how many chunks that came which has arrived of a body and is not read yet."""
    return len(getattr(body, "_http_chunk_splits", None) or ())


def _end_of_head(data: bytes, start: int) -> int:
    """Where the head that begins here ends; 0 if it does not."""
    found = data.find(_END_OF_HEAD, start)
    return found + len(_END_OF_HEAD) if found >= 0 else 0
