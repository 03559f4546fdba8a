"""Who may open a user's store."""

from aiohttp import web

from postroom.app.openapi.decorators import docs, json_schema, response_schema
from postroom.app.transactions import store_access
from postroom.app.web.etags import expected
from postroom.app.web.keys import BODY, context_of
from postroom.app.web.lookups import of_user
from postroom.app.web.responses import json_document, message, path_id
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.stores import StoreMembersSchema
from postroom.schemas.store_access import StoreAccessPostSchema, StoreAccessPutSchema
from postroom.storage.store_access import select_members

TAGS = ["Domain Admin/Users"]


@docs(tags=TAGS, summary="Get list of users that can access the users store", operationId="getStoreAccessUsers")
@response_schema(StoreMembersSchema(), 200, description="List of users with store access returned")
async def get_store_access(request: web.Request) -> web.Response:
    """Those who may open the store."""
    return json_document(await of_user(request, select_members), version=True)


@docs(tags=TAGS, summary="Grant store access to another user", operationId="postStoreAccessUser")
@json_schema(StoreAccessPostSchema())
@response_schema(MessageSchema(), 201, description="User added")
async def post_store_access(request: web.Request) -> web.Response:
    """Gives one user of the organisation access; twice is fine."""
    username = request[BODY]["username"]
    await context_of(request).database.write(
        store_access.add_member, path_id(request, "domainID"), path_id(request, "userID"), username
    )
    return message(f"The user {username} has access now", 201)


@docs(tags=TAGS, summary="Overwrite the list of users with store access", operationId="putStoreAccessUser")
@json_schema(StoreAccessPutSchema())
@response_schema(MessageSchema(), 200, description="User list updated")
async def put_store_access(request: web.Request) -> web.Response:
    """Replaces the list, all or nothing."""
    document = await context_of(request).database.write(
        store_access.replace_members,
        path_id(request, "domainID"),
        path_id(request, "userID"),
        request[BODY]["usernames"],
        expected(request),
    )
    return message("The list has been stored", version_of=document)


@docs(tags=TAGS, summary="Remove user from store access list", operationId="deleteStoreAccessUser")
@response_schema(MessageSchema(), 200, description="User removed")
async def delete_store_access(request: web.Request) -> web.Response:
    """Takes access away from one user."""
    username = request.match_info["username"]
    await context_of(request).database.write(
        store_access.remove_member, path_id(request, "domainID"), path_id(request, "userID"), username
    )
    return message(f"The user {username} has no access any more")
