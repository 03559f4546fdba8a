"""The properties of a user's store, by name: the same as `properties` in GET and PATCH of the user."""

from functools import partial

from aiohttp import web

from postroom.app.openapi.decorators import docs, json_schema, querystring_schema, response_schema
from postroom.app.transactions import store_props
from postroom.app.web.keys import BODY, QUERY, context_of
from postroom.app.web.lookups import of_user
from postroom.app.web.responses import json_document, json_response, message, path_id
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.stores import StorePropsErrorsSchema, StorePropsSchema
from postroom.schemas.store_props import StorePropsPatchSchema, StorePropsQuerySchema
from postroom.storage.properties import select_properties

TAGS = ["Domain Admin/Users"]


@docs(tags=TAGS, summary="Chosen properties of a user's store", operationId="getStoreProps", deprecated=True)
@querystring_schema(StorePropsQuerySchema())
@response_schema(StorePropsSchema(), 200, description="The properties by name")
async def get_store_props(request: web.Request) -> web.Response:
    """Leaves out properties that the user does not have. GET of the user shows the same values as `properties`."""
    tags = [proptag.tag for proptag in request[QUERY]]
    return json_document(await of_user(request, partial(select_properties, tags=tags)))


@docs(tags=TAGS, summary="Change properties of a user's store", operationId="patchStoreProps", deprecated=True)
@json_schema(StorePropsPatchSchema())
@response_schema(StorePropsErrorsSchema(), 200, description="What can be stored is stored; `errors` has the rest")
async def patch_store_props(request: web.Request) -> web.Response:
    """Stores every property that can be stored, and lists the others under `errors` with the reason. Null removes a
    property.
    """
    change = request[BODY]
    username = await context_of(request).database.write(
        store_props.change, path_id(request, "domainID"), path_id(request, "userID"), change.properties
    )
    text = f"{len(change.properties)} properties of {username} have been set, {len(change.errors)} refused"
    return json_response({"message": text, "errors": change.errors})


@docs(tags=TAGS, summary="Remove properties of a user's store", operationId="deleteStoreProps", deprecated=True)
@querystring_schema(StorePropsQuerySchema())
@response_schema(MessageSchema(), 200, description="None of these properties is there any more")
async def delete_store_props(request: web.Request) -> web.Response:
    """Ignores properties that the user does not have. Without any name it removes nothing and succeeds."""
    username = await context_of(request).database.write(
        store_props.change,
        path_id(request, "domainID"),
        path_id(request, "userID"),
        dict.fromkeys(request[QUERY]),
    )
    return message(f"The properties of {username} have been removed")
