"""Setting somebody else's password."""

from aiohttp import web

from postroom.app.answers import message, path_id
from postroom.app.context import BODY, CALLER, context_of
from postroom.app.describe import docs, json_schema, response_schema
from postroom.app.errors import InvalidError
from postroom.app.passwords import check_new_password
from postroom.app.services import session
from postroom.app.services.users import user_not_found
from postroom.schemas.answers import MessageSchema
from postroom.schemas.session import NewPasswordSchema
from postroom.storage.users import select_user_row


@docs(tags=["Domain Admin/Users"], summary="Set user password", operationId="setPassword")
@json_schema(NewPasswordSchema())
@response_schema(MessageSchema(), 200, description="User password updated")
async def set_password(request: web.Request) -> web.Response:
    """Sets the password of a user of the domain; their logins end."""
    context = context_of(request)
    domain_id, user_id = path_id(request, "domainID"), path_id(request, "userID")
    user = await select_user_row(context.database, domain_id, user_id)
    if user is None:
        raise user_not_found(domain_id, user_id)
    if user_id == request[CALLER].user_id:
        raise InvalidError("Your own password is changed with PUT /passwd, which asks for the old one")
    if user.ldap_id is not None:
        raise InvalidError(f"The password of {user.username} is kept in LDAP and can only be changed there")
    password = check_new_password(request[BODY]["new"], context.config.password_min_length, "new")
    await session.set_password(context, user_id, password)
    return message(f"The password of {user.username} has been set")
