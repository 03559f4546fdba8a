"""The properties of a user's store, by name: the same that GET and PATCH of the user show as `properties`."""

from functools import partial

from aiohttp import web

from postroom.app.openapi.decorators import docs, json_schema, querystring_schema, response_schema
from postroom.app.transactions import store_props
from postroom.app.web.keys import BODY, QUERY, context_of
from postroom.app.web.lookups import of_user
from postroom.app.web.responses import json_answer, json_document, message, path_id
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.stores import StorePropsErrorsSchema, StorePropsSchema
from postroom.schemas.store_props import StorePropsPatchSchema, StorePropsQuerySchema
from postroom.storage.properties import select_properties

TAGS = ["Domain Admin/Users"]


@docs(tags=TAGS, summary="Get user store properties", operationId="getStoreProps", deprecated=True)
@querystring_schema(StorePropsQuerySchema())
@response_schema(StorePropsSchema(), 200, description="Property values returned")
async def get_store_props(request: web.Request) -> web.Response:
    """The properties asked for; one that the user does not have is left out."""
    tags = [proptag.tag for proptag in request[QUERY]]
    return json_document(await of_user(request, partial(select_properties, tags=tags)))


@docs(tags=TAGS, summary="Update store properties", operationId="patchStoreProps", deprecated=True)
@json_schema(StorePropsPatchSchema())
@response_schema(StorePropsErrorsSchema(), 200, description="Modification request successful")
async def patch_store_props(request: web.Request) -> web.Response:
    """Writes what can be written and lists the rest; null removes a property."""
    change = request[BODY]
    username = await context_of(request).database.write(
        store_props.change, path_id(request, "domainID"), path_id(request, "userID"), change.properties
    )
    text = f"{len(change.properties)} properties of {username} have been set, {len(change.errors)} refused"
    return json_answer({"message": text, "errors": change.errors})


@docs(tags=TAGS, summary="Delete user store props", operationId="deleteStoreProps", deprecated=True)
@querystring_schema(StorePropsQuerySchema())
@response_schema(MessageSchema(), 200, description="Properties removed")
async def delete_store_props(request: web.Request) -> web.Response:
    """Removes the properties named; one that is not there is fine, and so is none at all."""
    username = await context_of(request).database.write(
        store_props.change,
        path_id(request, "domainID"),
        path_id(request, "userID"),
        dict.fromkeys(request[QUERY]),
    )
    return message(f"The properties of {username} have been removed")
