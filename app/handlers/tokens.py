"""Tokens for programs. Only a login makes, shows or revokes them, no token."""

from aiohttp import web

from postroom.app.openapi.decorators import docs, json_schema, querystring_schema, response_schema
from postroom.app.services.api_tokens import create_token, document, list_tokens, revoke_token
from postroom.app.transactions.api_tokens import find_visible_token
from postroom.app.web.keys import BODY, CALLER, QUERY, context_of
from postroom.app.web.responses import json_response, message, path_id
from postroom.schemas.fields import ADDITION
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.tokens import NewTokenSchema, TokenListSchema, TokenSchema
from postroom.schemas.tokens import TokenCreateSchema, TokenListQuerySchema

TAGS = ["Tokens"]


@docs(tags=TAGS, summary="Tokens for programs", operationId="getTokens", **ADDITION)
@querystring_schema(TokenListQuerySchema())
@response_schema(TokenListSchema(), 200, description="The page, and how many tokens there are in all")
async def get_tokens(request: web.Request) -> web.Response:
    """Lists the caller's own tokens, and those of users in domains that the caller may read."""
    query = request[QUERY]
    return json_response(
        await list_tokens(context_of(request), request[CALLER], query.get("owner"), query["limit"], query["offset"])
    )


@docs(tags=TAGS, summary="Make a token for a program", operationId="postToken", **ADDITION)
@json_schema(TokenCreateSchema())
@response_schema(NewTokenSchema(), 201, description="The token; its text is shown this once")
async def post_token(request: web.Request) -> web.Response:
    """The token may do what its owner may do at each moment, limited to `permissions` if given. Without `owner` it is
    the caller's own. Without `expires` it lasts a year; null means for ever.
    """
    caller, given = request[CALLER], request[BODY]
    made = await create_token(context_of(request), given, given.get("owner", caller.user_id), caller)
    return json_response(made, 201)


@docs(tags=TAGS, summary="One token", operationId="getToken", **ADDITION)
@response_schema(TokenSchema(), 200, description="The token, without its text")
async def get_token(request: web.Request) -> web.Response:
    """Shows the token, and when and from where it was last used."""
    context = context_of(request)
    row = await context.database.look_up_by(find_visible_token, path_id(request, "ID"), request[CALLER])
    return json_response(document(row, context.config.timezone))


@docs(tags=TAGS, summary="Revoke a token", operationId="deleteToken", **ADDITION)
@response_schema(MessageSchema(), 200, description="The token is not valid any more")
async def delete_token(request: web.Request) -> web.Response:
    """The token ends at once, also for requests that are under way."""
    return message(await revoke_token(context_of(request), path_id(request, "ID"), request[CALLER]))
