"""One client that asks for one thing after the other, and how long each answer takes."""

import socket
import statistics
import time
from urllib.parse import urlsplit

from tests.bench.servers import BrokenRunError, Server

#: Seconds to wait for an answer.
_PATIENCE = 60
_END_OF_HEAD = b"\r\n\r\n"


class OneClient:
    """A connection that is kept, with as little around it as possible: it is not what is to be measured."""

    def __init__(self, server: Server, token: str) -> None:
        address = urlsplit(server.url)
        self._socket = socket.create_connection((address.hostname, address.port), _PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = f"Host: {address.netloc}\r\nAuthorization: Bearer {token}"

    def close(self) -> None:
        """Ends the connection."""
        self._socket.close()

    def milliseconds(self, path: str) -> float:
        """Until the last byte of the answer is there. Raises BrokenRunError unless it is a 200."""
        request = f"GET {path} HTTP/1.1\r\n{self._rest}\r\n\r\n".encode()
        began = time.perf_counter()
        self._socket.sendall(request)
        head, _, body = self._until(_END_OF_HEAD, b"").partition(_END_OF_HEAD)
        fields = head.lower().split(b"\r\n")
        if b" 200 " not in fields[0]:
            raise BrokenRunError(f"GET {path} was answered with {fields[0].decode()}")
        length = next((int(field[15:]) for field in fields if field.startswith(b"content-length:")), None)
        if length is None:
            self._until(b"0\r\n\r\n", body)  # in chunks
        else:
            self._receive(length - len(body))
        return (time.perf_counter() - began) * 1000

    def median(self, path: str, *, seconds: float, most: int) -> float:
        """Of as many as fit into the seconds: at least three, and at most so many."""
        found = [self.milliseconds(path)]
        until = time.perf_counter() + seconds
        while len(found) < 3 or (len(found) < most and time.perf_counter() < until):
            found.append(self.milliseconds(path))
        return statistics.median(found)

    def _until(self, end: bytes, data: bytes) -> bytes:
        """Everything up to the packet that has this end."""
        parts, last = [data], data
        while end not in last:
            part = self._packet()
            last = last[-len(end) :] + part
            parts.append(part)
        return b"".join(parts)

    def _receive(self, missing: int) -> None:
        while missing > 0:
            missing -= len(self._packet())

    def _packet(self) -> bytes:
        packet = self._socket.recv(1 << 18)
        if not packet:
            raise BrokenRunError("The service has closed the connection")
        return packet
