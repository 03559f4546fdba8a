"""The API description: an OpenAPI document for programs, and a page for people."""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from aiohttp import web

from postroom.app.errors import NotFoundError
from postroom.app.openapi.decorators import docs
from postroom.app.web.browsers import PAGE_HEADERS
from postroom.app.web.responses import json_document
from postroom.schemas.fields import ADDITION

#: Builds the document at the first request, and caches it.
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
    """The page that shows the description and can call the operations."""
    return web.Response(text=_PAGE, content_type="text/html", headers=PAGE_HEADERS)


async def get_start(_request: web.Request) -> web.Response:
    """The script that starts Swagger UI on the page."""
    return web.Response(text=_START, content_type="text/javascript", headers=PAGE_HEADERS)


async def get_file(request: web.Request) -> web.StreamResponse:
    """One of the Swagger UI files that the page uses. Raises NotFoundError for any other name."""
    name = request.match_info["name"]
    if name not in _FILES:
        raise NotFoundError(f"There is no file {name[:100]!r} here")
    return web.FileResponse(_folder() / name)


@cache
def _folder() -> Path:
    # The files are in the package swagger_ui, which need not be imported for them.
    spec = find_spec("swagger_ui")
    if spec is None or not spec.submodule_search_locations:
        raise LookupError("the package swagger-ui-py is not installed")
    return Path(spec.submodule_search_locations[0]) / "static"
