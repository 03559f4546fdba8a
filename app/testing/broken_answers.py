"""Answers as no service means them: made up, broken, or only a half of them."""

from typing import Any, Final

from aiohttp import hdrs, web

from postroom.app.web.responses import add_headers, json_response
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
    response.body = _spoiled(_body_of(response), fault.fields["broken"])
    return response


def _body_of(response: web.Response) -> bytes:
    return response.body if isinstance(response.body, bytes) else b""


def _spoiled(body: bytes, how: str) -> bytes:
    if how in ("truncated", "middle"):
        return body[: len(body) // 2]
    # Neither JSON nor UTF-8; of the others nothing is left.
    return bytes(0xFF ^ byte for byte in body) if how == "garbled" else b""


async def send_half(request: web.Request, response: web.Response) -> None:
    """Sends the head of an answer, and a half of its body."""
    body = _body_of(response)
    half = web.StreamResponse(status=response.status, headers=response.headers)
    half.content_length = len(body)
    add_headers(half)
    await half.prepare(request)
    if request.method != hdrs.METH_HEAD:
        # spoil_lines() has seen to it.
        await half.write(body)


async def spoil_lines(request: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`: an answer that is sent in pieces is spoiled piece by piece."""
    fault = next((fault for fault in request.get(FAULTS, ()) if fault.kind in ("cut", "broken")), None)
    if isinstance(response, web.Response) or fault is None:
        return
    if request.transport is not None:
        # Everything is sent at once, also what a reset follows.
        request.transport.set_write_buffer_limits(0)
    spoiling = _Spoiling(request, response, fault)
    response.write = spoiling.write  # type: ignore[method-assign]
    if fault.kind == "cut":
        # Its end would make it whole. The work goes on to its own end, and the connection is cut then.
        response.write_eof = spoiling.drop  # type: ignore[method-assign]


class _Spoiling:
    """Writes the pieces of an answer as the fault wants them."""

    def __init__(self, request: web.Request, response: web.StreamResponse, fault: Fault) -> None:
        self._request = request
        self._write = response.write
        self._how: str = fault.fields.get("cut") or fault.fields["broken"]
        self._is_first = True

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """In place of that of the response."""
        piece = _spoiled(bytes(data), self._how) if self._is_first or self._how == "garbled" else b""
        self._is_first = False
        if piece:
            await self._write(piece)
            await self._request.writer.drain()

    async def drop(self, data: bytes = b"") -> None:
        """In place of the end of the response."""
