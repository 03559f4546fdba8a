"""Connects to a directory server without ever blocking the event loop.

libldap blocks the whole process while it resolves names, connects and does the TLS handshake. So asyncio does these,
and libldap connects to a Unix socket in a private folder, which takes no time. A relay passes the bytes on.
"""

import asyncio
import errno
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

from postroom.app.directory.faults import AwayError
from postroom.app.directory.start_tls import START_TLS, is_accepted, is_complete
from postroom.schemas.ldap_text import ServerAddress

_MAX_RESPONSE = 4096
#: Most bytes of the answers to one request: many times a page of people with their photographs.
_MAX_ANSWER = 64 * 1024 * 1024

_T = TypeVar("_T")


class _Pipe(asyncio.Protocol):
    """One end of a relay: it writes to its peer what it reads. When one end closes, so does the other."""

    def __init__(self) -> None:
        self.peer: _Pipe | None = None
        self.transport: asyncio.Transport | None = None
        self.received = bytearray()
        #: Bytes passed on since the other end last sent something.
        self.relayed = 0
        self.arrived = asyncio.Event()
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.relayed, self.peer.relayed = self.relayed + len(data), 0
            if self.relayed > _MAX_ANSWER:
                # libldap would keep all of it in memory, without a limit of its own.
                self.abort()
                return
            self.peer.transport.write(data)
        else:
            self.received += data
            self.arrived.set()
            if len(self.received) > _MAX_RESPONSE:
                self.abort()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.lost = True
        self.arrived.set()
        if self.peer is not None:
            self.peer.close()

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.resume_reading()

    def close(self) -> None:
        """Closes when everything written is sent."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Closes at once. With TLS, close() would wait for the server to close as well: in asyncio up to 30 s."""
        if self.transport is not None:
            self.transport.abort()


class _Client(_Pipe):
    """The end for the client, which may connect after the server has closed already."""

    def __init__(self, upstream: _Pipe) -> None:
        super().__init__()
        self.peer, upstream.peer = upstream, self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.peer is None or self.peer.lost:
            self.close()


class _Door:
    """Accepts one client. asyncio's own servers lose a client that connects while they close."""

    _entering: ClassVar[set[asyncio.Task[Any]]] = set()

    def __init__(self, path: Path, upstream: _Pipe) -> None:
        self._upstream = upstream
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.setblocking(False)
        try:
            self._socket.bind(str(path))
        except OSError:
            self._socket.close()
            raise AwayError("no socket could be made in the temporary folder") from None
        self._socket.listen(1)
        self._loop.add_reader(self._socket.fileno(), self._admit)

    def _admit(self) -> None:
        try:
            client, _ = self._socket.accept()
        except OSError:
            return
        self.close()
        # Never cancelled: it takes no time, and otherwise nobody would close an accepted client.
        task = self._loop.create_task(self._loop.connect_accepted_socket(lambda: _Client(self._upstream), client))
        self._entering.add(task)
        task.add_done_callback(self._entering.discard)

    def close(self) -> None:
        """Stops accepting clients; idempotent."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()


class Relay:
    """An open relay to a server. `path` is the Unix socket for its one client."""

    def __init__(self, path: Path, upstream: _Pipe) -> None:
        self.path = path
        self._upstream = upstream

    @property
    def alive(self) -> bool:
        """False as soon as the server or the client has closed the connection."""
        return not self._upstream.lost

    def close(self) -> None:
        """Closes both sides at once."""
        self._upstream.abort()


@asynccontextmanager
async def open_relay(address: ServerAddress, context: ssl.SSLContext | None) -> AsyncIterator[Relay]:
    """Connects to the server. The client must connect to `relay.path` inside the block; the relay outlives the block.

    With a context the connection is encrypted: from the start for ldaps, by StartTLS for ldap. AwayError with the
    reason when the server cannot be reached. It has no time limit of its own.
    """
    upstream = await _dial(address, context)
    try:
        # Only this user may enter the folder (mkdtemp sets 0700): passwords pass through the socket.
        with tempfile.TemporaryDirectory(prefix="postroom-ldap-") as folder:
            path = Path(folder) / "s"
            with closing(_Door(path, upstream)):
                yield Relay(path, upstream)
    except BaseException:
        upstream.abort()
        raise


async def _dial(address: ServerAddress, context: ssl.SSLContext | None) -> _Pipe:
    loop = asyncio.get_running_loop()
    _, pipe = await _reasons(
        loop.create_connection(_Pipe, address.host, address.port, ssl=context if address.tls else None)
    )
    if context is not None and not address.tls:
        try:
            await _start_tls(pipe, address, context)
        except BaseException:
            pipe.abort()
            raise
    return pipe


async def _start_tls(pipe: _Pipe, address: ServerAddress, context: ssl.SSLContext) -> None:
    transport = pipe.transport
    if transport is None:
        raise AwayError("it closed the connection")
    transport.write(START_TLS)
    while not is_complete(pipe.received):
        if pipe.lost:
            raise AwayError("it closed the connection instead of starting TLS")
        pipe.arrived.clear()
        await pipe.arrived.wait()
    if not is_accepted(pipe.received):
        raise AwayError("it refuses to start TLS")
    pipe.received.clear()
    loop = asyncio.get_running_loop()
    encrypted = await _reasons(loop.start_tls(transport, pipe, context, server_hostname=address.host))
    if encrypted is None:
        raise AwayError("it closed the connection instead of starting TLS")
    pipe.transport = encrypted


async def _reasons(attempt: Awaitable[_T]) -> _T:
    """The result of a network operation; AwayError with a readable reason when it fails."""
    try:
        return await attempt
    except ssl.SSLCertVerificationError as exc:
        raise AwayError(f"its certificate is not trusted ({exc.verify_message.rstrip('.')})") from None
    except ssl.SSLError:
        raise AwayError("TLS could not be started") from None
    except ConnectionRefusedError:
        raise AwayError("it refuses connections") from None
    except socket.gaierror:
        raise AwayError("its name cannot be resolved") from None
    except ConnectionError:
        raise AwayError("it closed the connection") from None
    except OSError as exc:
        raise AwayError(_os_reason(exc)) from None


def _os_reason(error: OSError) -> str:
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return "there is no way to it"
    # asyncio joins the failures of several addresses (localhost: ::1 and 127.0.0.1) into one error without a number.
    return "it refuses connections" if "refused" in str(error) else "it cannot be reached"
