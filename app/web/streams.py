"""Responses that are sent in pieces while they are made, in little memory however long they are.

The status is sent with the first piece. What fails later cuts the connection off: the JSON stays incomplete, and its
client cannot take a part for the whole.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Final

import orjson
from aiohttp import web

from postroom.app.errors import CutOffError
from postroom.app.web.admission import confirm
from postroom.app.web.error_responses import failure, shown_path
from postroom.app.web.ndjson import CONTENT_TYPE
from postroom.app.web.responses import add_headers, json_document, json_stream
from postroom.storage.long_pages import LongPage

request_log = logging.getLogger("postroom.requests")

#: Set once a part of the response has been sent, so that no other response can be.
_BEGUN: Final = web.RequestKey("begun", bool)


async def send_page(request: web.Request, page: bytes | LongPage) -> web.StreamResponse:
    """The response with a list. A long one has been sent when this returns.

    Before each piece the caller is confirmed. Raises what confirm() and the pieces raise.
    """
    if isinstance(page, bytes):
        return json_document(page)
    async with aclosing(page.pieces()) as pieces:
        first = await anext(pieces)
        if page.is_one_piece:
            return json_document(first)
        response = json_stream()
        await confirm()
        request[_BEGUN] = True
        try:
            await response.prepare(request)
            if request.method != "HEAD":
                await response.write(first)
                async for piece in pieces:
                    await confirm()
                    await response.write(piece)  # waits while the client has not taken what was sent before
        except ConnectionResetError:
            raise CutOffError from None
        return response


async def send_lines(
    request: web.Request, pieces: AsyncGenerator[list[Any]], line: Callable[[Any], Any]
) -> web.StreamResponse:
    """The response with a line for each row (NDJSON), which has been sent when this returns.

    Before each piece the caller is confirmed. Raises what confirm() and the pieces raise.
    """
    response = web.StreamResponse(headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})
    add_headers(response)
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                await confirm()
                if _BEGUN not in request:
                    request[_BEGUN] = True
                    await response.prepare(request)
                if request.method != "HEAD":
                    # Waits while the client has not taken what was sent before.
                    await response.write(
                        b"".join(orjson.dumps(line(row), option=orjson.OPT_APPEND_NEWLINE) for row in piece)
                    )
    except ConnectionResetError:
        raise CutOffError from None
    return response


def failure_or_end(request: web.Request, error: Exception | asyncio.CancelledError) -> web.Response:
    """The response for an error that a handler raised, as from failure().

    Where a part of another response has been sent already, resets the connection and raises ConnectionResetError.
    """
    if _BEGUN not in request:
        return failure(request, error)
    reset_connection(request)
    failure(request, error)  # logs what is a fault of the service
    request_log.info("%s %s: cut off amid the response: %s", request.method, shown_path(request), error)
    raise ConnectionResetError from None


def reset_connection(request: web.Request) -> None:
    """Ends the connection so that its client notices, whatever it has received."""
    transport = request.transport
    if transport is not None:
        # With HTTP/1.0 an ordinary end of the connection would be the end of the response as well.
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
