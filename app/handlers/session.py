"""Login, profile, and one's own password."""

from typing import Any, Final

from aiohttp import web

from postroom.app.errors import InvalidError, UnauthenticatedError
from postroom.app.openapi.decorators import docs, form_schema, json_schema, response_schema
from postroom.app.services import session
from postroom.app.web.authentication import token_of
from postroom.app.web.forms import is_form, parse_form
from postroom.app.web.guard import admit, logged_in
from postroom.app.web.inputs import content_type_of, load, parse_json, receive
from postroom.app.web.keys import BODY, CALLER, context_of
from postroom.app.web.responses import json_answer, json_document, message
from postroom.app.web.trust import login_source
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.session import LoginAnswerSchema, ProfileSchema
from postroom.schemas.session import ChangePasswordSchema, LoginSchema
from postroom.storage.users import select_profile

_LOGIN = LoginSchema(unknown="exclude")
#: Bytes of a login, which anybody may send: four times a name and a password in which every character is encoded.
LARGEST_LOGIN: Final = 16 * 1024


@docs(tags=["Misc"], summary="Login user", operationId="postLogin")
@form_schema(_LOGIN)
@response_schema(LoginAnswerSchema(), 200, description="Login successful")
async def post_login(request: web.Request) -> web.Response:
    """Logs in by name and password, in a form or as JSON, or, without any, renews the login of the cookie.

    A user of a directory renews it as long as that has them; while it is away, for a limited time.

    The answer sets no cookie: the client keeps the token, as the cookie or for the header Authorization.
    """
    context, source = context_of(request), login_source(request)
    given = load(_LOGIN, await _form(request))
    if "user" in given and "pass" in given:
        account = await session.log_in(context, source, given["user"], given["pass"])
        return json_answer(context.tokens.issue(account, context.presence.saw(account)))
    token, _ = token_of(request)
    if given or token is None:
        raise InvalidError("A login needs user and pass, or a valid cookie to renew")
    account, seen = await session.renew(context, source, token)
    return json_answer(context.tokens.issue(account, seen))


@docs(tags=["Misc"], summary="Get information about currently logged in user", operationId="getProfile")
@response_schema(ProfileSchema(), 200, description="Profile data returned")
async def get_profile(request: web.Request) -> web.Response:
    """The caller's own user, and what they may do."""
    caller = request[CALLER]
    user = await select_profile(context_of(request).database, caller.user_id)
    if user is None:
        raise UnauthenticatedError("Access denied", ["The login has been revoked"])
    capabilities = ",".join(f'"{capability}"' for capability in caller.grants.capabilities)
    return json_document(b'{"user":%b,"capabilities":[%b]}' % (user, capabilities.encode()))


@docs(tags=["Misc", "Service"], summary="Change current users password", operationId="putPasswd")
@json_schema(ChangePasswordSchema())
@response_schema(MessageSchema(), 200, description="Password updated")
async def put_passwd(request: web.Request) -> web.Response:
    """Sets the caller's own password: of their logins only this one goes on.

    With `user` that name and `old` are the login, which needs no role; then every login of theirs ends.
    """
    context, source, given = context_of(request), login_source(request), request[BODY]
    if "user" in given:
        await session.change_password_of(context, source, given["user"], given["old"], given["new"])
    else:
        caller = await admit(request, logged_in)
        await session.change_own_password(context, source, caller, given["old"], given["new"])
    return message("The password has been changed")


async def _form(request: web.Request) -> Any:
    raw = await receive(request, LARGEST_LOGIN)
    if is_form(request.content_type):
        return parse_form(raw, request.headers["Content-Type"])
    body = parse_json(raw, content_type_of(request))
    return {} if body is None else body
