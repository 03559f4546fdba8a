"""The description of the API: as a document for programs, as a page for people."""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from aiohttp import web

from postroom.app.errors import NotFoundError
from postroom.app.openapi.decorators import docs
from postroom.app.web.responses import json_document
from postroom.schemas.fields import ADDITION

#: Makes the document at the first request, and keeps it.
DOCUMENT = web.AppKey[Callable[[], bytes]]("document", Callable[[], bytes])  # type: ignore[arg-type]

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>postroom API</title>
<link rel="icon" type="image/png" sizes="32x32" href="/docs/static/favicon-32x32.png">
<link rel="icon" type="image/png" sizes="16x16" href="/docs/static/favicon-16x16.png">
<link rel="stylesheet" href="/docs/static/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/static/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

# In a file of its own, so that the page needs no inline script.
_START = """window.onload = () => SwaggerUIBundle({
  url: "/api/v1/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null
});
"""

# Swagger UI has pictures as data: URLs in its style sheet. Nothing else comes from elsewhere, the page itself holds no
# script and no style, and no foreign page may put this one, where people log in, into a frame.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    # A newer postroom may need another page; what is heavy comes from the static files, which browsers keep.
    "Cache-Control": "no-cache",
}

_FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-16x16.png", "favicon-32x32.png")

_OPENAPI = {"description": "The document", "schema": {"type": "object", "additionalProperties": True}}


@docs(
    tags=["Misc"],
    summary="This description of the API",
    operationId="getOpenapi",
    **ADDITION,
    responses={"200": _OPENAPI},
)
async def get_openapi(request: web.Request) -> web.Response:
    """An OpenAPI 3 document, the same for every caller."""
    return json_document(request.app[DOCUMENT]())


async def get_page(_request: web.Request) -> web.Response:
    """The page that shows the description and tries operations out."""
    return web.Response(text=_PAGE, content_type="text/html", headers=_HEADERS)


async def get_start(_request: web.Request) -> web.Response:
    """The page's own line of script."""
    return web.Response(text=_START, content_type="text/javascript", headers=_HEADERS)


async def get_file(request: web.Request) -> web.StreamResponse:
    """One of Swagger UI's files that the page asks for; there are no others here."""
    name = request.match_info["name"]
    if name not in _FILES:
        raise NotFoundError(f"There is no file {name[:100]!r} here")
    return web.FileResponse(_folder() / name)


@cache
def _folder() -> Path:
    # The package keeps the files; it need not be imported for that.
    spec = find_spec("swagger_ui")
    if spec is None or not spec.submodule_search_locations:
        raise LookupError("the package swagger-ui-py is not installed")
    return Path(spec.submodule_search_locations[0]) / "static"
