"""Responses as raw bytes, for connections without a complete request: aiohttp sends responses to requests only."""

import secrets
import time
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
        # As those of requests: see protocol.py.
        "X-Request-ID": f"{int(time.time() * 1000):x}{secrets.token_hex(3)}-1",
        "Content-Length": str(len(body)),
        "Date": formatdate(usegmt=True),
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body
