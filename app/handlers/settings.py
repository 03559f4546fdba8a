"""The settings of the service. Nobody changes them over HTTP."""

from aiohttp import web

from postroom.app.openapi.decorators import docs, response_schema
from postroom.app.services.shown_settings import in_force, rows
from postroom.app.web.keys import context_of
from postroom.app.web.responses import json_response
from postroom.schemas.fields import ADDITION
from postroom.schemas.responses.settings import SettingListSchema

TAGS = ["System Admin/MConf"]


@docs(tags=TAGS, summary="The settings, and where each comes from", operationId="getSettings", **ADDITION)
@response_schema(SettingListSchema(), 200, description="All settings, in the order of the documentation")
async def get_settings(request: web.Request) -> web.Response:
    """Shows the values with which the service runs. Secrets are not shown. A setting changes with a restart."""
    return json_response({"data": rows(in_force(context_of(request).config))})
