"""Answers as no service means them: made up, broken, or only a half of them."""

from typing import Any, Final

from aiohttp import hdrs, web

from postroom.app.web.responses import add_headers, json_response
from postroom.testing.cutting import cut
from postroom.testing.faults import Fault
from postroom.testing.journal import FAULTS

_MESSAGE: Final = "A fault of the test"


def made(fault: Fault) -> web.Response:
    """The answer that the fault describes."""
    status: int = fault.fields["status"]
    usual = {"message": "Access denied", "error": _MESSAGE} if status == 401 else {"message": _MESSAGE}
    body: Any = fault.fields.get("body", usual)
    response = web.Response(text=body, status=status) if isinstance(body, str) else json_response(body, status)
    for name, value in fault.fields.get("headers", {}).items():
        response.headers[name] = value
    return response


def spoil(response: web.Response, fault: Fault) -> web.Response:
    """The same answer with a body that cannot be read."""
    body = response.body
    response.body = _spoiled(body if isinstance(body, bytes) else b"", fault)
    return response


def _spoiled(body: bytes, fault: Fault) -> bytes:
    how = fault.fields["broken"]
    if how == "truncated":
        return body[: len(body) // 2]
    # Neither JSON nor UTF-8.
    return b"" if how == "empty" else bytes(0xFF ^ byte for byte in body)


async def send_half(request: web.Request, response: web.Response, fault: Fault) -> web.StreamResponse:
    """Sends a half of it and raises ConnectionResetError."""
    body = response.body if isinstance(response.body, bytes) else b""
    half = web.StreamResponse(status=response.status, headers=response.headers)
    half.content_length = len(body)
    add_headers(half)
    await half.prepare(request)
    if request.method != hdrs.METH_HEAD:
        # spoil_lines() has seen to it.
        await half.write(body)
    raise cut(request, fault)


async def spoil_lines(request: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`: an answer that is sent in pieces is spoiled piece by piece."""
    fault = request[FAULTS][-1] if FAULTS in request else None
    if isinstance(response, web.Response) or fault is None or fault.kind not in ("cut", "broken"):
        return
    if request.transport is not None:
        # Everything is sent at once, also what a reset follows.
        request.transport.set_write_buffer_limits(0)
    response.write = _Spoiling(request, response, fault).write  # type: ignore[method-assign]


class _Spoiling:
    """Writes the pieces of an answer as the fault wants them."""

    def __init__(self, request: web.Request, response: web.StreamResponse, fault: Fault) -> None:
        self._request = request
        self._write = response.write
        self._fault = fault
        self._is_first = True

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """In place of that of the response. Raises ConnectionResetError after a cut."""
        piece = bytes(data)
        if self._fault.kind == "cut":
            if self._fault.fields["cut"] == "middle":
                await self._write(piece[: max(len(piece) // 2, 1)])
                await self._request.writer.drain()
            raise cut(self._request, self._fault)
        if self._is_first or self._fault.fields["broken"] == "garbled":
            spoiled = _spoiled(piece, self._fault)
            if spoiled:
                await self._write(spoiled)
        self._is_first = False
