"""Login, profile, and the caller's own password."""

from collections.abc import Callable
from typing import Any, Final

import orjson
from aiohttp import web

from postroom.app.auth.permissions import Grants
from postroom.app.auth.tokens import may_log_in
from postroom.app.errors import InvalidError, UnauthenticatedError
from postroom.app.openapi.decorators import docs, form_schema, json_schema, response_schema
from postroom.app.services import session, sessions
from postroom.app.web.admission import admit, own
from postroom.app.web.authentication import token_of
from postroom.app.web.forms import is_form, parse_form
from postroom.app.web.inputs import content_type_of, load, receive
from postroom.app.web.json_texts import parse_json
from postroom.app.web.keys import BODY, CALLER, context_of
from postroom.app.web.responses import json_document, json_response, message
from postroom.app.web.trust import login_source
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.session import LoginAnswerSchema, ProfileSchema
from postroom.schemas.session import ChangePasswordSchema, LoginSchema
from postroom.storage.auth import Account
from postroom.storage.users import select_profile

LOGIN: Final = LoginSchema(unknown="exclude")
#: Largest body of a login, in bytes; anybody may send one. Four times the longest name and password, fully encoded.
LARGEST_LOGIN: Final = 16 * 1024


@docs(tags=["Misc"], summary="Log in, or renew a login", operationId="postLogin")
@form_schema(LOGIN)
@response_schema(LoginAnswerSchema(), 200, description="The token, and the value for X-Csrf-Token")
async def post_login(request: web.Request) -> web.Response:
    """Takes name and password, as a form or as JSON. Without either, renews the login of the cookie.

    The response sets no cookie: the client keeps the token, and sends it as the cookie or in the header Authorization.

    A user of a directory can renew a login as long as the directory has the user. While the directory is unreachable,
    renewal works for a limited time.
    """
    return await log_in(request, may_log_in)


async def log_in(request: web.Request, admits: Callable[[Account], bool]) -> web.Response:
    """The response to a login by name and password or, without either, to the renewal of one, if `admits` accepts the
    account.
    """
    context, source = context_of(request), login_source(request)
    given = load(LOGIN, await _form(request))
    if "user" in given and "pass" in given:
        account = await session.log_in(context, source, given["user"], given["pass"], admits)
        return json_response(await sessions.begin(context, account, source, request.headers.get("User-Agent", "")))
    token, _ = token_of(request)
    if given or token is None:
        raise InvalidError("A login needs user and pass, or a valid cookie to renew")
    return json_response(await sessions.renew(context, source, token, admits))


@docs(tags=["Misc"], summary="The caller's own user and what they may do", operationId="getProfile")
@response_schema(ProfileSchema(), 200, description="The caller's user and capabilities")
async def get_profile(request: web.Request) -> web.Response:
    """Shows the user at level 2, without `fetchmail`. `capabilities` sums up what the user's roles allow, or what of
    that the token does, and `scopes` says where.
    """
    caller = request[CALLER]
    user = await select_profile(context_of(request).database, caller.user_id)
    if user is None:
        raise UnauthenticatedError("Access denied", ["The login has been revoked"])
    about = orjson.dumps({"capabilities": caller.grants.capabilities, "scopes": _scopes(caller.grants)})
    return json_document(b'{"user":%b,%b' % (user, about[1:]))


def _scopes(allowed: Grants) -> list[dict[str, Any]]:
    scopes = {
        "DomainAdminRead": allowed.read,
        "DomainAdminWrite": allowed.write,
        "DomainPurge": allowed.purge,
        "OrgAdmin": allowed.orgs,
    }
    return [
        {"capability": capability, "all": scope.everything, "IDs": sorted(scope.ids)}
        for capability, scope in scopes.items()
        if capability in allowed.capabilities
    ]


@docs(tags=["Misc", "Service"], summary="Change one's own password", operationId="putPasswd")
@json_schema(ChangePasswordSchema())
@response_schema(MessageSchema(), 200, description="The password is changed")
async def put_passwd(request: web.Request) -> web.Response:
    """Ends all logins of the caller except the one that made the request.

    With `user` in the body, no login is needed: the name and `old` replace it. This needs no role, and ends all logins
    of the user.
    """
    context, source, given = context_of(request), login_source(request), request[BODY]
    if "user" in given:
        await session.change_password_of(context, source, given["user"], given["old"], given["new"])
    else:
        caller = await admit(request, own)
        await session.change_own_password(context, source, caller, given["old"], given["new"])
    return message("The password has been changed")


async def _form(request: web.Request) -> Any:
    raw = await receive(request, LARGEST_LOGIN)
    if is_form(request.content_type):
        return parse_form(raw, request.headers["Content-Type"])
    body = parse_json(raw, content_type_of(request))
    return {} if body is None else body
