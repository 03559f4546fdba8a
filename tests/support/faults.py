"""Directory servers with one fault each: for tests, and to measure other requests meanwhile."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Attributes = Mapping[str, Sequence[bytes]]

_BIND, _UNBIND, _SEARCH, _EXTENDED = 0x60, 0x42, 0x63, 0x77
_BIND_DONE, _ENTRY, _SEARCH_DONE, _EXTENDED_DONE = 0x61, 0x64, 0x65, 0x78
_SUCCESS = b"\x0a\x01\x00\x04\x00\x04\x00"
_EVER = 3600.0


@asynccontextmanager
async def fault_server(mode: str | Handler) -> AsyncIterator[str]:
    """`127.0.0.1:port` of a server with the fault: one of MODES, or a handler of connections."""
    if mode == "backlog":
        async with _backlog() as address:
            yield address
        return
    handler = _HANDLERS[mode] if isinstance(mode, str) else mode
    tasks: set[asyncio.Task[None]] = set()
    transports: list[asyncio.WriteTransport] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        transports.append(writer.transport)
        # The client may hang up, and the server is stopped by cancelling.
        with suppress(asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        running = list(tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for transport in transports:
            transport.abort()  # a client that does not read would keep one that is only closed
        await asyncio.sleep(0.01)  # its socket is closed one turn of the loop later


def answering(entries: Mapping[str, Attributes]) -> Handler:
    """A server without a fault that accepts every login and answers every search with these entries."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (request := await _request(reader))[1] != _UNBIND:
            number, operation = request
            if operation == _SEARCH:
                writer.writelines(_message(number, _entry(dn, attributes)) for dn, attributes in entries.items())
            writer.write(_message(number, _element(_BIND_DONE if operation == _BIND else _SEARCH_DONE, _SUCCESS)))

    return handler


@asynccontextmanager
async def waiting_server(
    entries: Mapping[str, Attributes],
) -> AsyncIterator[tuple[str, asyncio.Event, asyncio.Event]]:
    """(address, set when somebody has connected, to be set for it to go on) of a slow server with these entries."""
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await go_on.wait()
        await answering(entries)(reader, writer)

    async with fault_server(handler) as address:
        yield address, asked, go_on


@asynccontextmanager
async def _backlog() -> AsyncIterator[str]:
    """Drops every SYN: the queue of connections to be accepted is full, and nobody accepts any."""
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        with suppress(TimeoutError):
            for _ in range(100):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                async with asyncio.timeout(0.2):
                    await loop.sock_connect(waiting, listening.getsockname())
        yield f"127.0.0.1:{listening.getsockname()[1]}"


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(_EVER)


async def _closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)


async def _tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    first = await reader.read(1000)
    if first.startswith(b"\x30"):
        # StartTLS, answered in two parts.
        answer = _message(1, _element(_EXTENDED_DONE, _SUCCESS))
        writer.write(answer[:5])
        await asyncio.sleep(0.05)
        writer.write(answer[5:])
        await reader.read(1000)
    # The beginning of a ServerHello.
    writer.write(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03")
    await asyncio.sleep(_EVER)


async def _mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    number, _ = await _request(reader)
    writer.write(_message(number, _element(_BIND_DONE, _SUCCESS)))
    await asyncio.sleep(_EVER)


async def _dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    number, _ = await _request(reader)
    writer.write(_message(number, _element(_BIND_DONE, _SUCCESS)))
    number, _ = await _request(reader)
    entry = _message(number, _entry("cn=a", {"cn": [b"a"], "mail": [b"a@example.com"], "objectGUID": [b"a"]}))
    writer.write(3 * entry + entry[: len(entry) // 2])
    await writer.drain()


async def _garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 300)
    await asyncio.sleep(_EVER)


async def _slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    number, _ = await _request(reader)
    for byte in _message(number, _element(_BIND_DONE, _SUCCESS)):
        writer.write(bytes([byte]))
        await asyncio.sleep(1)


_HANDLERS: Mapping[str, Handler] = {
    "silent": _silent,
    "closes": _closes,
    "tls": _tls,
    "mute": _mute,
    "dies": _dies,
    "garbage": _garbage,
    "slow": _slow,
}
#: backlog: drops the SYN. silent: accepts and says nothing. closes: hangs up on the first bytes. tls: stalls inside the
#: TLS handshake, also after StartTLS. mute: lets everybody log in and says nothing more. dies: lets everybody log in,
#: and breaks off in the middle of its fourth entry. garbage: speaks another protocol. slow: a login takes 12 seconds.
MODES = ("backlog", *_HANDLERS)


async def _request(reader: asyncio.StreamReader) -> tuple[int, int]:
    """Message ID and operation of the next LDAPMessage (RFC 4511)."""
    kind, length = await reader.readexactly(2)
    if kind != 0x30:
        raise ConnectionError("this is not LDAP")
    if length & 0x80:
        length = int.from_bytes(await reader.readexactly(length & 0x7F))
    body = await reader.readexactly(length)
    size = body[1]
    return int.from_bytes(body[2 : 2 + size]), body[2 + size]


def _message(number: int, operation: bytes) -> bytes:
    return _element(0x30, _element(0x02, number.to_bytes(4)), operation)


def _entry(dn: str, attributes: Attributes) -> bytes:
    lists = (
        _element(0x30, _text(name), _element(0x31, *(_element(0x04, value) for value in values)))
        for name, values in attributes.items()
    )
    return _element(_ENTRY, _text(dn), _element(0x30, *lists))


def _text(text: str) -> bytes:
    return _element(0x04, text.encode())


def _element(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return bytes([tag, 0x84]) + len(content).to_bytes(4) + content
