"""The page for people: static files that speak the public API."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from aiohttp import hdrs, web

from postroom.app.errors import NotFoundError
from postroom.app.web.browsers import PAGE_HEADERS

_TYPES = MappingProxyType(
    {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"},
)


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    compressed: bytes
    content_type: str
    etag: str


async def get_page(request: web.Request) -> web.Response:
    """The document in which everything else is loaded."""
    return _serve(request, "index.html")


async def get_file(request: web.Request) -> web.Response:
    """A script, the style sheet or the icon of the page. Raises NotFoundError for any other name."""
    return _serve(request, request.match_info["name"])


def _serve(request: web.Request, name: str) -> web.Response:
    file = _files().get(name)
    if file is None:
        raise NotFoundError(f"There is no file {name[:100]!r} here")
    response = web.Response(headers={**PAGE_HEADERS, "Vary": "Accept-Encoding"})
    response.etag = file.etag
    if any(tag.value in (file.etag, "*") for tag in request.if_none_match or ()):
        response.set_status(304)
        return response
    response.content_type, response.charset = file.content_type, "utf-8"
    # No other coding is worth a library: all of the page is smaller than one picture.
    if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        response.headers[hdrs.CONTENT_ENCODING] = "gzip"
        response.body = file.compressed
    else:
        response.body = file.body
    return response


@cache
def _files() -> Mapping[str, _File]:
    """All files by name, read and compressed once."""
    found = {}
    for path in files("postroom.app").joinpath("page").iterdir():
        content_type = _TYPES.get(path.name.rpartition(".")[2])
        if content_type is not None:
            body = path.read_bytes()
            etag = hashlib.sha256(body).hexdigest()[:24]
            found[path.name] = _File(body, gzip.compress(body, mtime=0), content_type, etag)
    return MappingProxyType(found)
