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


@docs(tags=TAGS, summary="Who may open the user's store", operationId="getStoreAccessUsers")
@response_schema(StoreMembersSchema(), 200, description="The users with access")
async def get_store_access(request: web.Request) -> web.Response:
    """The users who got access with POST or PUT."""
    return json_document(await of_user(request, select_members), version=True)


@docs(tags=TAGS, summary="Let one more user open the store", operationId="postStoreAccessUser")
@json_schema(StoreAccessPostSchema())
@response_schema(MessageSchema(), 201, description="The user has access")
async def post_store_access(request: web.Request) -> web.Response:
    """Takes a user of the same organisation, by username or alias. A user who has access already keeps it."""
    username = request[BODY]["username"]
    await context_of(request).database.write(
        store_access.add_member, path_id(request, "domainID"), path_id(request, "userID"), username
    )
    return message(f"The user {username} has access now", 201)


@docs(tags=TAGS, summary="Replace who may open the user's store", operationId="putStoreAccessUser")
@json_schema(StoreAccessPutSchema())
@response_schema(MessageSchema(), 200, description="The list is stored")
async def put_store_access(request: web.Request) -> web.Response:
    """Stores nothing if one name does not belong to a user of the same organisation."""
    document = await context_of(request).database.write(
        store_access.replace_members,
        path_id(request, "domainID"),
        path_id(request, "userID"),
        request[BODY]["usernames"],
        expected(request),
    )
    return message("The list has been stored", version_of=document)


@docs(tags=TAGS, summary="Take a user's access to the store away", operationId="deleteStoreAccessUser")
@response_schema(MessageSchema(), 200, description="The user has no access any more")
async def delete_store_access(request: web.Request) -> web.Response:
    """Answers 404 as well when the user has no access."""
    username = request.match_info["username"]
    await context_of(request).database.write(
        store_access.remove_member, path_id(request, "domainID"), path_id(request, "userID"), username
    )
    return message(f"The user {username} has no access any more")
