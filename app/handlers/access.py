"""Who may act for a user: delegates, send-as, and access to the store."""

from aiohttp import web

from postroom.app.answers import json_document, message, path_id
from postroom.app.context import BODY, context_of
from postroom.app.describe import docs, json_schema, response_schema
from postroom.app.etags import expected
from postroom.app.services import access
from postroom.app.services.users import user_not_found
from postroom.schemas.access import AddressListSchema, StoreAccessPostSchema, StoreAccessPutSchema
from postroom.schemas.answers import AddressesSchema, MessageSchema, StoreMembersSchema
from postroom.storage.grants import DELEGATE, SENDAS, select_grants
from postroom.storage.store_access import select_members

TAGS = ["Domain Admin/Users"]


@docs(tags=TAGS, summary="Get list of users that can send mails on the users behalf", operationId="getDelegates")
@response_schema(AddressesSchema(), 200, description="List of users returned")
async def get_delegates(request: web.Request) -> web.Response:
    """The delegates, in the order in which they were put."""
    return await _get_grants(request, DELEGATE)


@docs(tags=TAGS, summary="Set list of users that can send mails on the users behalf", operationId="putDelegates")
@json_schema(AddressListSchema())
@response_schema(MessageSchema(), 200, description="List updated")
async def put_delegates(request: web.Request) -> web.Response:
    """Replaces the delegates; the order stays, repeats are dropped."""
    return await _put_grants(request, DELEGATE)


@docs(tags=TAGS, summary="Get list of users that can send mails as the user", operationId="getSendas")
@response_schema(AddressesSchema(), 200, description="List of users returned")
async def get_sendas(request: web.Request) -> web.Response:
    """Those who may send as the user, in the order in which they were put."""
    return await _get_grants(request, SENDAS)


@docs(tags=TAGS, summary="Set list of users that can send mails as the user", operationId="putSendas")
@json_schema(AddressListSchema())
@response_schema(MessageSchema(), 200, description="List updated")
async def put_sendas(request: web.Request) -> web.Response:
    """Replaces those who may send as the user; the order stays, repeats are dropped."""
    return await _put_grants(request, SENDAS)


@docs(tags=TAGS, summary="Get list of users that can access the users store", operationId="getStoreAccessUsers")
@response_schema(StoreMembersSchema(), 200, description="List of users with store access returned")
async def get_store_access(request: web.Request) -> web.Response:
    """Those who may open the store."""
    domain_id, user_id = path_id(request, "domainID"), path_id(request, "userID")
    document = await select_members(context_of(request).database, domain_id, user_id)
    if document is None:
        raise user_not_found(domain_id, user_id)
    return json_document(document, version=True)


@docs(tags=TAGS, summary="Grant store access to another user", operationId="postStoreAccessUser")
@json_schema(StoreAccessPostSchema())
@response_schema(MessageSchema(), 201, description="User added")
async def post_store_access(request: web.Request) -> web.Response:
    """Gives one user of the organisation access; twice is fine."""
    username = request[BODY]["username"]
    await context_of(request).database.write(
        access.add_member, path_id(request, "domainID"), path_id(request, "userID"), username
    )
    return message(f"The user {username} has access now", 201)


@docs(tags=TAGS, summary="Overwrite the list of users with store access", operationId="putStoreAccessUser")
@json_schema(StoreAccessPutSchema())
@response_schema(MessageSchema(), 200, description="User list updated")
async def put_store_access(request: web.Request) -> web.Response:
    """Replaces the list, all or nothing."""
    document = await context_of(request).database.write(
        access.replace_members,
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
        access.remove_member, path_id(request, "domainID"), path_id(request, "userID"), username
    )
    return message(f"The user {username} has no access any more")


async def _get_grants(request: web.Request, kind: str) -> web.Response:
    domain_id, user_id = path_id(request, "domainID"), path_id(request, "userID")
    document = await select_grants(context_of(request).database, domain_id, user_id, kind)
    if document is None:
        raise user_not_found(domain_id, user_id)
    return json_document(document, version=True)


async def _put_grants(request: web.Request, kind: str) -> web.Response:
    document = await context_of(request).database.write(
        access.replace_grants,
        path_id(request, "domainID"),
        path_id(request, "userID"),
        kind,
        request[BODY]["addresses"],
        expected(request),
    )
    return message("The list has been stored", version_of=document)
