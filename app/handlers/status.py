"""The versions of the service, its state, and its limits."""

from importlib.metadata import version

from aiohttp import web

from postroom.app.openapi.decorators import docs, response_schema
from postroom.app.web.admission import may_also
from postroom.app.web.guards import system_read
from postroom.app.web.keys import CALLER, context_of
from postroom.app.web.responses import json_response
from postroom.schemas.domains import LARGEST_MAX_USER
from postroom.schemas.responses.status import AboutSchema, LicenseSchema, StatusSchema
from postroom.storage.domains import select_active_user_count
from postroom.storage.migrations import latest

#: The version of the grommunio Admin API that postroom implements.
API_VERSION = "1.20.0"


@docs(tags=["Misc"], summary="Whether the service works", operationId="getStatus")
@response_schema(StatusSchema(), 200, description="The service works")
async def get_status(request: web.Request) -> web.Response:
    """Queries the database. `tasq` tells whether the task queue runs, `engine` which database engine does.

    Callers who may read everything also see the newest scheduled backup, where such are configured.
    """
    context = context_of(request)
    await context.database.check()
    state: dict[str, object] = {
        "message": "API is operational",
        "database": True,
        "tasq": await context.tasks.is_open(),
        "engine": context.database.engine,
    }
    if context.backups.wanted and await may_also(request, system_read):
        state["backup"] = await context.backups.state()
    return json_response(state)


@docs(tags=["Misc"], summary="Versions of the API and of postroom", operationId="getAbout")
@response_schema(AboutSchema(), 200, description="The versions")
async def get_about(_request: web.Request) -> web.Response:
    """The version of the API, of postroom itself, and of the database schema."""
    return json_response({"API": API_VERSION, "backend": version("postroom"), "schema": latest()})


@docs(
    tags=["System Admin/License"],
    summary="How many users there may be: there is no limit",
    operationId="getLicense",
)
@response_schema(LicenseSchema(), 200, description="No limit, and how many users there are")
async def get_license(request: web.Request) -> web.Response:
    """`maxUsers` cannot be null, so it is the highest limit that a domain can have."""
    return json_response(
        {
            "product": "postroom",
            "maxUsers": LARGEST_MAX_USER,
            "notBefore": None,
            "notAfter": None,
            "currentUsers": await select_active_user_count(
                context_of(request).database, caller=request[CALLER].user_id
            ),
            "certificate": None,
        }
    )
