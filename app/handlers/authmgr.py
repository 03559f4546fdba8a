"""What logins are checked against: the directory, the local password, or one of them for each user."""

from aiohttp import web

from postroom.app.openapi.decorators import docs, json_schema, response_schema
from postroom.app.services.logins import selected_backend
from postroom.app.web.keys import BODY, context_of
from postroom.app.web.responses import json_response, message
from postroom.schemas.authmgr import AuthmgrSchema
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.session import AuthmgrAnswerSchema
from postroom.storage import auth

TAGS = ["System Admin/MConf"]


@docs(tags=TAGS, summary="What logins are checked against", operationId="getAuthmgr")
@response_schema(AuthmgrAnswerSchema(), 200, description="The selection")
async def get_authmgr(request: web.Request) -> web.Response:
    """`externid`: the directory for users linked to it, the local password for all others. `always_ldap` and
    `always_mysql`: only the directory, or only the local password, for everyone.
    """
    selected = {"authBackendSelection": await selected_backend(context_of(request).database)}
    # Without `data` the web console assumes `always_mysql`, and stores that at its next save.
    return json_response({**selected, "data": selected})


@docs(tags=TAGS, summary="Choose what logins are checked against", operationId="setAuthmgr")
@json_schema(AuthmgrSchema())
@response_schema(MessageSchema(), 200, description="The selection is stored")
async def put_authmgr(request: web.Request) -> web.Response:
    """Takes effect with the next login. `admin` always logs in with a local password."""
    selected = request[BODY]["authBackendSelection"]
    await context_of(request).database.write(auth.set_setting, auth.AUTH_BACKEND, selected)
    return message(f"Logins go by {selected} from now on")


@docs(tags=TAGS, summary="Check logins in the default way again", operationId="deleteAuthmgr")
@response_schema(MessageSchema(), 200, description="The default is in effect again")
async def delete_authmgr(request: web.Request) -> web.Response:
    """The default is `externid`."""
    await context_of(request).database.write(auth.delete_setting, auth.AUTH_BACKEND)
    return message("Logins go by externid from now on")
