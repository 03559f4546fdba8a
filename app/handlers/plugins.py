"""Webmail plugins that are disabled in a domain."""

from aiohttp import web

from postroom.app.openapi.decorators import docs, json_schema, response_schema
from postroom.app.transactions.domains import replace_disabled_plugins
from postroom.app.web.keys import BODY, context_of
from postroom.app.web.lookups import of_domain
from postroom.app.web.responses import json_document, json_response, message, path_id
from postroom.schemas.fields import ADDITION
from postroom.schemas.plugins import PluginNamesSchema
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.domains import DisabledPluginsSchema
from postroom.storage.disabled_plugins import select_disabled_plugins, select_disabled_plugins_of


@docs(
    tags=["Misc"], summary="Webmail plugins that are disabled in a domain", operationId="getDisabledPlugins", **ADDITION
)
@response_schema(DisabledPluginsSchema(), 200, description="The names of the plugins")
async def get_disabled_plugins(request: web.Request) -> web.Response:
    """The webmail hides them from the users of the domain. The order is that in which they were stored."""
    return json_document(await of_domain(request, select_disabled_plugins))


@docs(
    tags=["Misc"],
    summary="Replace the disabled webmail plugins of a domain",
    operationId="putDisabledPlugins",
    **ADDITION,
)
@json_schema(PluginNamesSchema())
@response_schema(MessageSchema(), 200, description="The list is stored")
async def put_disabled_plugins(request: web.Request) -> web.Response:
    """Keeps the order of the list and drops repeats. Accepts any name: only the webmail knows its plugins."""
    await context_of(request).database.write(
        replace_disabled_plugins, path_id(request, "domainID"), request[BODY]["names"]
    )
    return message("The list has been stored")


@docs(
    tags=["Service"],
    summary="Webmail plugins that are disabled for a user",
    operationId="getUserDisabledPlugins",
    **ADDITION,
)
@response_schema(DisabledPluginsSchema(), 200, description="The names of the plugins")
async def get_disabled_plugins_of_username(request: web.Request) -> web.Response:
    """The plugins disabled in the user's domain; none for an unknown name, so that the webmail still starts."""
    found = await select_disabled_plugins_of(context_of(request).database, request.match_info["username"])
    return json_response({"data": []}) if found is None else json_document(found)
