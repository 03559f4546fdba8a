"""Logins that have not ended: one's own, and those of a user."""

from aiohttp import web

from postroom.app.openapi.decorators import docs, response_schema
from postroom.app.services import sessions
from postroom.app.transactions.sessions import end_sessions_of
from postroom.app.web.keys import CALLER, context_of
from postroom.app.web.lookups import of_user_row
from postroom.app.web.responses import json_response, message, path_id
from postroom.schemas.fields import ADDITION
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.tokens import SessionListSchema

TAGS = ["Sessions"]


@docs(tags=TAGS, summary="The caller's own logins", operationId="getSessions", **ADDITION)
@response_schema(SessionListSchema(), 200, description="The logins that have not ended")
async def get_sessions(request: web.Request) -> web.Response:
    """Shows from where and with which program each login was made."""
    caller = request[CALLER]
    return json_response(await sessions.list_sessions(context_of(request), caller.user_id, caller.session_id))


@docs(tags=TAGS, summary="End all other logins of the caller", operationId="deleteSessions", **ADDITION)
@response_schema(MessageSchema(), 200, description="Only the login that made this request is left")
async def delete_sessions(request: web.Request) -> web.Response:
    """The other logins end at once, also for requests that are under way."""
    caller = request[CALLER]
    await sessions.end_sessions(context_of(request), caller, caller.session_id)
    return message("All other logins have been ended")


@docs(tags=TAGS, summary="End one login of the caller", operationId="deleteSession", **ADDITION)
@response_schema(MessageSchema(), 200, description="The login has ended")
async def delete_session(request: web.Request) -> web.Response:
    """The login ends at once; with the ID of the current one, the caller logs out."""
    await sessions.end_session(context_of(request), request[CALLER], request.match_info["sessionID"])
    return message("The login has been ended")


@docs(tags=TAGS, summary="The logins of a user", operationId="getUserSessions", **ADDITION)
@response_schema(SessionListSchema(), 200, description="The logins that have not ended")
async def get_user_sessions(request: web.Request) -> web.Response:
    """Shows from where and with which program each login was made."""
    user = await of_user_row(request)
    return json_response(await sessions.list_sessions(context_of(request), user.id, request[CALLER].session_id))


@docs(tags=TAGS, summary="End all logins of a user", operationId="deleteUserSessions", **ADDITION)
@response_schema(MessageSchema(), 200, description="The user has to log in again")
async def delete_user_sessions(request: web.Request) -> web.Response:
    """The user can log in again at once. To prevent that, suspend them."""
    username = await context_of(request).database.write(
        end_sessions_of, path_id(request, "domainID"), path_id(request, "userID"), request[CALLER]
    )
    return message(f"All logins of {username} have been ended")
