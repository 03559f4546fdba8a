"""Responses as raw bytes, for connections without a complete request: aiohttp sends responses to requests only."""

import secrets
from email.utils import formatdate
from http import HTTPStatus
from typing import cast

from aiohttp import web

from postroom.app.web.responses import SECURITY_HEADERS


def to_bytes(response: web.Response) -> bytes:
    """The bytes of the response, with headers that end the connection."""
    body = cast("bytes", response.body)
    headers = {
        **response.headers,
        **SECURITY_HEADERS,
        "X-Request-ID": f"{secrets.token_hex(6)}-1",
        "Content-Length": str(len(body)),
        "Date": formatdate(usegmt=True),
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body
