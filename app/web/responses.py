"""JSON responses, and IDs from the path: the helpers that every handler needs."""

from typing import Any, Final

import orjson
from aiohttp import web
from multidict import CIMultiDict, istr

from postroom.app.errors import NotFoundError
from postroom.app.logs import REQUEST_ID
from postroom.app.transactions.versions import etag
from postroom.schemas.fields import INT64_MAX

#: add_headers() adds these to every response that does not set them itself. JSON is not a page, so it may
#: neither load anything nor be framed.
SECURITY_HEADERS: Final = CIMultiDict(
    {
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        # Otherwise aiohttp would reveal its version and Python's.
        "Server": "postroom",
    }
)

_REQUEST_ID: Final = istr("X-Request-ID")

#: Proxies and browsers must not cache responses: they are about people, and depend on the caller.
_HEADERS = CIMultiDict({"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store"})


def add_headers(response: web.StreamResponse) -> None:
    """Adds the headers that every response has. app/server/protocol.py does so in one place; only a response that goes
    out while its handler still runs needs it earlier.
    """
    headers = response.headers
    headers.merge(SECURITY_HEADERS)
    headers[_REQUEST_ID] = REQUEST_ID.get()


def json_stream() -> web.StreamResponse:
    """A response whose JSON is still to be sent, with all its headers."""
    response = web.StreamResponse(headers=_HEADERS)
    add_headers(response)
    return response


def json_document(
    document: bytes, status: int = 200, *, version: bool = False, version_of: bytes | None = None
) -> web.Response:
    """A response whose body is already JSON; with `version`, it has an ETag for a later If-Match. `version_of`: what
    the ETag is made from, if that is not the whole document.
    """
    response = web.Response(body=document, status=status, headers=_HEADERS)
    if version:
        response.headers["ETag"] = f'"{etag(document if version_of is None else version_of)}"'
    return response


def json_response(data: Any, status: int = 200) -> web.Response:
    """A JSON response made from Python data."""
    return json_document(orjson.dumps(data), status)


def message(text: str, status: int = 200, *, version_of: bytes | None = None) -> web.Response:
    """A response with a message only, because clients parse every body. `version_of`: what was stored, for the ETag."""
    response = json_response({"message": text}, status)
    if version_of is not None:
        response.headers["ETag"] = f'"{etag(version_of)}"'
    return response


def path_id(request: web.Request, name: str) -> int:
    """An ID in the path. Raises NotFoundError unless it is a 64-bit integer: no object has any other ID."""
    text = request.match_info[name]
    if text.isascii() and text.isdigit() and len(text) < 20 and (number := int(text)) <= INT64_MAX:
        return number
    raise NotFoundError(f"There is no {name.removesuffix('ID') or 'object'} {text[:40]!r}")
