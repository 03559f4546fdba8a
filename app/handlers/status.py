"""What the service is and whether it works; nobody needs to be logged in."""

from importlib.metadata import version

from aiohttp import web

from postroom.app.answers import json_answer
from postroom.app.context import context_of
from postroom.app.describe import docs, response_schema
from postroom.schemas.answers import AboutSchema, StatusSchema
from postroom.storage.migrations import latest

#: The version of the public description that postroom speaks.
API_VERSION = "1.20.0"


@docs(tags=["Misc"], summary="Check API connectivity and status", operationId="getStatus")
@response_schema(StatusSchema(), 200, description="API status message")
async def get_status(request: web.Request) -> web.Response:
    """Whether the database answers. There is no task queue beside this process, so `tasq` says that tasks run."""
    await context_of(request).database.fetch_value("SELECT 1")
    return json_answer({"message": "API is operational", "database": True, "tasq": True})


@docs(tags=["Misc"], summary="Get general information about the backend", operationId="getAbout")
@response_schema(AboutSchema(), 200, description="Return information")
async def get_about(_request: web.Request) -> web.Response:
    """Versions: of the API, of postroom, of the database schema."""
    return json_answer({"API": API_VERSION, "backend": version("postroom"), "schema": latest()})
