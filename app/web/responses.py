"""JSON answers, and the parts of a path: the few things every handler needs."""

from typing import Any, Final

import orjson
from aiohttp import web
from multidict import CIMultiDict

from postroom.app.errors import NotFoundError
from postroom.app.transactions.versions import etag
from postroom.schemas.fields import INT64_MAX

#: Every response has these; app/server/protocol.py sees to it. Nothing here is a page, so nothing may be loaded or
#: framed by it.
SECURITY_HEADERS: Final = CIMultiDict(
    {
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        # In its place aiohttp would tell its version, and Python's.
        "Server": "postroom",
    }
)

#: Nothing here may be kept by a proxy or a browser: it is about people, and depends on who asks.
_HEADERS = CIMultiDict({"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store"})


def json_document(document: bytes, status: int = 200, *, version: bool = False) -> web.Response:
    """An answer that is JSON already; with `version`, its ETag goes along, for a later If-Match."""
    response = web.Response(body=document, status=status, headers=_HEADERS)
    if version:
        response.headers["ETag"] = f'"{etag(document)}"'
    return response


def json_response(data: Any, status: int = 200) -> web.Response:
    """An answer made from Python data."""
    return json_document(orjson.dumps(data), status)


def message(text: str, status: int = 200, *, version_of: bytes | None = None) -> web.Response:
    """A bare success, with a body all the same: clients parse every answer. The ETag is that of what was stored."""
    response = json_response({"message": text}, status)
    if version_of is not None:
        response.headers["ETag"] = f'"{etag(version_of)}"'
    return response


def path_id(request: web.Request, name: str) -> int:
    """An ID in the path. Raises NotFoundError for what is no 64-bit integer: nothing has such an ID."""
    text = request.match_info[name]
    if text.isascii() and text.isdigit() and len(text) < 20 and (number := int(text)) <= INT64_MAX:
        return number
    raise NotFoundError(f"There is no {name.removesuffix('ID') or 'object'} {text[:40]!r}")
