"""Who may send mail for a user: delegates and send-as."""

from functools import partial

from aiohttp import web

from postroom.app.openapi.decorators import docs, json_schema, response_schema
from postroom.app.transactions.delegates import replace_grants
from postroom.app.web.etags import expected
from postroom.app.web.keys import BODY, context_of
from postroom.app.web.lookups import of_user, place_of
from postroom.app.web.responses import json_document, message
from postroom.schemas.delegates import AddressListSchema
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.stores import AddressesSchema
from postroom.storage.grants import DELEGATE, SENDAS, select_grants

TAGS = ["Domain Admin/Users"]


@docs(tags=TAGS, summary="Who may send on the user's behalf", operationId="getDelegates")
@response_schema(AddressesSchema(), 200, description="The addresses of the delegates")
async def get_delegates(request: web.Request) -> web.Response:
    """The delegates, in the order in which they were stored."""
    return await _get_grants(request, DELEGATE)


@docs(tags=TAGS, summary="Replace who may send on the user's behalf", operationId="putDelegates")
@json_schema(AddressListSchema())
@response_schema(MessageSchema(), 200, description="The list is stored")
async def put_delegates(request: web.Request) -> web.Response:
    """Keeps the order of the list and drops repeats. Stores nothing if one address is invalid."""
    return await _put_grants(request, DELEGATE)


@docs(tags=TAGS, summary="Who may send as the user", operationId="getSendas")
@response_schema(AddressesSchema(), 200, description="The addresses of those who may")
async def get_sendas(request: web.Request) -> web.Response:
    """The addresses, in the order in which they were stored."""
    return await _get_grants(request, SENDAS)


@docs(tags=TAGS, summary="Replace who may send as the user", operationId="putSendas")
@json_schema(AddressListSchema())
@response_schema(MessageSchema(), 200, description="The list is stored")
async def put_sendas(request: web.Request) -> web.Response:
    """Keeps the order of the list and drops repeats. Stores nothing if one address is invalid."""
    return await _put_grants(request, SENDAS)


async def _get_grants(request: web.Request, kind: str) -> web.Response:
    return json_document(await of_user(request, partial(select_grants, kind=kind)), version=True)


async def _put_grants(request: web.Request, kind: str) -> web.Response:
    document = await context_of(request).database.write(
        replace_grants, *place_of(request), kind, request[BODY]["addresses"], expected(request)
    )
    return message("The list has been stored", version_of=document)
