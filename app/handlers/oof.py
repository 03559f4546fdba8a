"""Out of office."""

import orjson
from aiohttp import web

from postroom.app.openapi.decorators import docs, json_schema, response_schema
from postroom.app.transactions import oof
from postroom.app.transactions.lookups import username_not_found
from postroom.app.web.etags import expected
from postroom.app.web.keys import BODY, context_of
from postroom.app.web.lookups import of_user, place_of
from postroom.app.web.responses import json_document, json_response, message
from postroom.schemas.fields import ADDITION
from postroom.schemas.oof import OofSchema
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.oof import ServiceOofSchema
from postroom.storage.oof import select_oof, select_oof_of_address

TAGS = ["Domain Admin/Users"]


@docs(tags=TAGS, summary="A user's out of office settings", operationId="oofSizeLarge")
@response_schema(OofSchema(), 200, description="The settings as they are stored")
async def get_oof(request: web.Request) -> web.Response:
    """Leaves out times, subjects and replies that are not set."""
    return json_document(await of_user(request, select_oof), version=True)


@docs(tags=TAGS, summary="Change a user's out of office settings", operationId="setOofSize")
@json_schema(OofSchema())
@response_schema(MessageSchema(), 200, description="The settings are stored")
async def put_oof(request: web.Request) -> web.Response:
    """Changes the fields that the request names and leaves the others; null removes a field. Ignores unknown fields."""
    context = context_of(request)
    username, document = await context.database.write(
        oof.change_oof, *place_of(request), request[BODY], context.config.timezone, expected(request)
    )
    return message(f"The out of office state of {username} has been set", version_of=document)


@docs(tags=["Service"], summary="Whether a user is out of office now", operationId="getServiceOof", **ADDITION)
@response_schema(ServiceOofSchema(), 200, description="The settings, and whether they are in force")
async def get_oof_of_username(request: web.Request) -> web.Response:
    """`inForce` is true when replies are due at this moment."""
    context, name = context_of(request), request.match_info["username"]
    document = await select_oof_of_address(context.database, name)
    if document is None:
        raise username_not_found(name)
    state, timezone = orjson.loads(document), context.config.timezone
    in_force = oof.is_in_force(
        state["state"], state.get("startTime"), state.get("endTime"), context.clock.local(timezone), timezone
    )
    return json_response({"data": {"inForce": in_force, **state}})
