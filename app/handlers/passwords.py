"""Sets the passwords of other users, and lists usernames."""

from aiohttp import web

from postroom.app.openapi.decorators import docs, json_schema, response_schema
from postroom.app.services import session
from postroom.app.transactions.lookups import user_not_found
from postroom.app.web.keys import BODY, CALLER, context_of
from postroom.app.web.responses import message, path_id
from postroom.app.web.streams import send_page
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.users import UsernamesSchema
from postroom.schemas.session import NewPasswordSchema
from postroom.storage.auth import select_account
from postroom.storage.long_pages import select_usernames


@docs(tags=["Domain Admin/Users"], summary="Set the password of a user", operationId="setPassword")
@json_schema(NewPasswordSchema())
@response_schema(MessageSchema(), 200, description="The password is set, and the user's logins have ended")
async def set_password(request: web.Request) -> web.Response:
    """Ends all logins of the user. Refuses to set the caller's own password, that of a user who is linked to a
    directory, and that of a user with permissions that the caller lacks.
    """
    context = context_of(request)
    domain_id, user_id = path_id(request, "domainID"), path_id(request, "userID")
    user = await select_account(context.database, user_id)
    if user is None or user.domain_id != domain_id:
        raise user_not_found(domain_id, user_id)
    await session.reset_password(context, request[CALLER], user, request[BODY]["new"])
    return message(f"The password of {user.username} has been set")


@docs(tags=["Misc", "Users"], summary="Set the password of a user by name", operationId="resetPasswd")
@json_schema(NewPasswordSchema())
@response_schema(MessageSchema(), 200, description="The password is set, and the user's logins have ended")
async def put_passwd_of(request: web.Request) -> web.Response:
    """Ends all logins of the user. A caller with ResetPasswd may do this for all users, a caller who may write in a
    domain for its users; neither may do it for a user with permissions that the caller lacks.
    """
    username = await session.reset_password_of(
        context_of(request), request[CALLER], request.match_info["username"], request[BODY]["new"]
    )
    return message(f"The password of {username} has been set")


@docs(tags=["Misc", "Users"], summary="The usernames that the caller may see", operationId="getUsernames")
@response_schema(UsernamesSchema(), 200, description="The users by name")
async def list_usernames(request: web.Request) -> web.StreamResponse:
    """Users of the domains in which the caller may write; all users for a caller with ResetPasswd or who may read the
    system.
    """
    grants = request[CALLER].grants
    everybody = grants.reset_passwords or grants.system_read or grants.write.everything
    names = await select_usernames(
        context_of(request).database, None if everybody else grants.write.ids, caller=request[CALLER].user_id
    )
    return await send_page(request, names)
