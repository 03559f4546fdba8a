"""Plugins of the webmail that are disabled in a domain."""

from aiohttp import web

from postroom.app.openapi.decorators import ADDITION, docs, json_schema, response_schema
from postroom.app.transactions.domains import replace_disabled_plugins
from postroom.app.web.keys import BODY, context_of
from postroom.app.web.lookups import of_domain
from postroom.app.web.responses import json_answer, json_document, message, path_id
from postroom.schemas.plugins import PluginNamesSchema
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.domains import DisabledPluginsSchema
from postroom.storage.disabled_plugins import select_disabled_plugins, select_disabled_plugins_of


@docs(tags=["Misc"], summary="Get disabled plugins of a domain", operationId="getDisabledPlugins", **ADDITION)
@response_schema(DisabledPluginsSchema(), 200, description="Names returned")
async def get_disabled_plugins(request: web.Request) -> web.Response:
    """The plugins that the webmail hides from the users of the domain, in the order in which they were put."""
    return json_document(await of_domain(request, select_disabled_plugins))


@docs(tags=["Misc"], summary="Set disabled plugins of a domain", operationId="putDisabledPlugins", **ADDITION)
@json_schema(PluginNamesSchema())
@response_schema(MessageSchema(), 200, description="List updated")
async def put_disabled_plugins(request: web.Request) -> web.Response:
    """Replaces the list; the order stays, repeats are dropped. The names are the webmail's: any are taken."""
    await context_of(request).database.write(
        replace_disabled_plugins, path_id(request, "domainID"), request[BODY]["names"]
    )
    return message("The list has been stored")


@docs(
    tags=["Service"],
    summary="Get disabled plugins for specific user",
    operationId="getUserDisabledPlugins",
    **ADDITION,
)
@response_schema(DisabledPluginsSchema(), 200, description="Names returned")
async def get_disabled_plugins_of_username(request: web.Request) -> web.Response:
    """Those of the user's domain. A name that nobody has gets an empty list: the webmail starts for them as well."""
    found = await select_disabled_plugins_of(context_of(request).database, request.match_info["username"])
    return json_answer({"data": []}) if found is None else json_document(found)
