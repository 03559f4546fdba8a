"""What users look after themselves: what is their own. The work is that of the same operations on any user."""

from aiohttp import web

from postroom.app.auth.tokens import is_active
from postroom.app.handlers import delegates, devices, oof, session
from postroom.app.openapi.decorators import docs, form_schema, json_schema, querystring_schema, response_schema
from postroom.app.services import me, sessions
from postroom.app.transactions.devices import remove_own_device, wipe_own_device
from postroom.app.transactions.forwards import change_forward
from postroom.app.transactions.users import Change
from postroom.app.web.etags import expected
from postroom.app.web.keys import BODY, CALLER, QUERY, context_of
from postroom.app.web.lookups import of_user, place_of
from postroom.app.web.responses import json_document, json_response, message
from postroom.schemas.delegates import AddressListSchema
from postroom.schemas.devices import WipeRequestSchema
from postroom.schemas.fields import ADDITION
from postroom.schemas.me import EndSessionsQuerySchema, OwnForwardSchema
from postroom.schemas.oof import OofSchema
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.devices import DeviceListSchema, WipeHistorySchema
from postroom.schemas.responses.me import MeSchema
from postroom.schemas.responses.session import LoginAnswerSchema
from postroom.schemas.responses.stores import AddressesSchema
from postroom.schemas.responses.tokens import SessionListSchema
from postroom.storage.forwards import select_forward

TAGS = ["Me"]


@docs(tags=TAGS, summary="Log in without a role, or renew such a login", operationId="postMyLogin", **ADDITION)
@form_schema(session.LOGIN)
@response_schema(LoginAnswerSchema(), 200, description="The token, and the value for X-Csrf-Token")
async def post_my_login(request: web.Request) -> web.Response:
    """Like POST /login, for which a user needs a role. Without one, the login is for what is below /me, and for PUT
    /passwd.
    """
    return await session.log_in(request, is_active)


@docs(tags=TAGS, summary="Who the caller is, and what they may do", operationId="getMe", **ADDITION)
@response_schema(MeSchema(), 200, description="The caller")
async def get_me(request: web.Request) -> web.Response:
    """Shows names, quota, and what the caller may change. The administrator has no mailbox."""
    return json_response(await me.describe(context_of(request), request[CALLER]))


@docs(tags=TAGS, summary="One's own out of office settings", operationId="getMyOof", **ADDITION)
@response_schema(OofSchema(), 200, description="The settings as they are stored")
async def get_my_oof(request: web.Request) -> web.StreamResponse:
    """Leaves out times, subjects and replies that are not set."""
    return await oof.get_oof(request)


@docs(tags=TAGS, summary="Change one's own out of office settings", operationId="putMyOof", **ADDITION)
@json_schema(OofSchema())
@response_schema(MessageSchema(), 200, description="The settings are stored")
async def put_my_oof(request: web.Request) -> web.StreamResponse:
    """Changes the fields that the request names and leaves the others; null removes a field. Ignores unknown fields."""
    return await oof.put_oof(request)


@docs(tags=TAGS, summary="Where one's own mail goes", operationId="getMyForward", **ADDITION)
@response_schema(OwnForwardSchema(), 200, description="The forward; null: there is none")
async def get_my_forward(request: web.Request) -> web.Response:
    """`forwardType` 0 sends a copy there, 1 the mail itself."""
    return json_document(await of_user(request, select_forward), version=True)


@docs(tags=TAGS, summary="Set or remove one's own forward", operationId="putMyForward", **ADDITION)
@json_schema(OwnForwardSchema())
@response_schema(MessageSchema(), 200, description="The forward is stored")
async def put_my_forward(request: web.Request) -> web.Response:
    """Null removes it."""
    context = context_of(request)
    change = Change(request[CALLER], False, context.now(), expected(request))
    document = await context.database.write(change_forward, *place_of(request), request[BODY]["forward"], change)
    return message("The forward has been stored", version_of=document)


@docs(tags=TAGS, summary="Who may send on one's own behalf", operationId="getMyDelegates", **ADDITION)
@response_schema(AddressesSchema(), 200, description="The addresses of the delegates")
async def get_my_delegates(request: web.Request) -> web.StreamResponse:
    """The delegates, in the order in which they were stored."""
    return await delegates.get_delegates(request)


@docs(tags=TAGS, summary="Replace who may send on one's own behalf", operationId="putMyDelegates", **ADDITION)
@json_schema(AddressListSchema())
@response_schema(MessageSchema(), 200, description="The list is stored")
async def put_my_delegates(request: web.Request) -> web.StreamResponse:
    """Keeps the order of the list and drops repeats. Stores nothing if one address is invalid."""
    return await delegates.put_delegates(request)


@docs(tags=TAGS, summary="Who may send as oneself", operationId="getMySendas", **ADDITION)
@response_schema(AddressesSchema(), 200, description="The addresses of those who may")
async def get_my_sendas(request: web.Request) -> web.StreamResponse:
    """The addresses, in the order in which they were stored."""
    return await delegates.get_sendas(request)


@docs(tags=TAGS, summary="Replace who may send as oneself", operationId="putMySendas", **ADDITION)
@json_schema(AddressListSchema())
@response_schema(MessageSchema(), 200, description="The list is stored")
async def put_my_sendas(request: web.Request) -> web.StreamResponse:
    """Keeps the order of the list and drops repeats. Stores nothing if one address is invalid."""
    return await delegates.put_sendas(request)


@docs(tags=TAGS, summary="One's own ActiveSync devices", operationId="getMyDevices", **ADDITION)
@response_schema(DeviceListSchema(), 200, description="The devices and their states")
async def list_my_devices(request: web.Request) -> web.StreamResponse:
    """Lists devices that have synchronised and devices that are to be wiped, in the order of their IDs."""
    return await devices.list_devices(request)


@docs(tags=TAGS, summary="Remove a device of one's own", operationId="deleteMyDevice", **ADDITION)
@response_schema(MessageSchema(), 200, description="The device is removed")
async def delete_my_device(request: web.Request) -> web.Response:
    """Removes the device and its state. If the device connects again, it starts over. A device that is wiped or to be
    wiped stays: only an administrator lets it be used again.
    """
    place = devices.device_of(request)
    await context_of(request).database.write(remove_own_device, *place, devices.origin_of(request))
    return message(f"The device {place[2]} has been removed")


@docs(tags=TAGS, summary="Make a device of one's own start over", operationId="putMyDeviceResync", **ADDITION)
@response_schema(MessageSchema(), 200, description="The device starts over at its next contact")
async def put_my_resync(request: web.Request) -> web.StreamResponse:
    """The device synchronises from the beginning at its next contact. It stays in the list."""
    return await devices.put_resync(request)


@docs(tags=TAGS, summary="Wipe a device of one's own", operationId="postMyDeviceWipe", **ADDITION)
@json_schema(WipeRequestSchema())
@response_schema(MessageSchema(), 200, description="The device is to be wiped")
async def post_my_wipe(request: web.Request) -> web.Response:
    """Wipes the device, which has to be known, at its next contact. Needs the password. Only an administrator can take
    it back.
    """
    return await devices.wipe(request, wipe_own_device)


@docs(tags=TAGS, summary="What has become of the wipes of a device of one's own", operationId="getMyWipes", **ADDITION)
@response_schema(WipeHistorySchema(), 200, description="The changes of the status, the latest first")
async def get_my_wipes(request: web.Request) -> web.StreamResponse:
    """Shows at most the last 100, also of a device that was removed; nothing for one that never had a wipe."""
    return await devices.get_wipe_history(request)


@docs(tags=TAGS, summary="One's own logins", operationId="getMySessions", **ADDITION)
@response_schema(SessionListSchema(), 200, description="The logins that have not ended")
async def get_my_sessions(request: web.Request) -> web.Response:
    """Shows from where and with which program each login was made."""
    caller = request[CALLER]
    return json_response(await sessions.list_sessions(context_of(request), caller.user_id, caller.session_id))


@docs(tags=TAGS, summary="Log out everywhere", operationId="deleteMySessions", **ADDITION)
@querystring_schema(EndSessionsQuerySchema())
@response_schema(MessageSchema(), 200, description="The logins have ended")
async def delete_my_sessions(request: web.Request) -> web.Response:
    """The logins end at once, also for requests that are under way, and with them the one that makes this request."""
    caller, others = request[CALLER], request[QUERY]["others"]
    await sessions.end_sessions(context_of(request), caller, caller.session_id if others else None)
    return message("All other logins have been ended" if others else "All logins have been ended")


@docs(tags=TAGS, summary="End one login of one's own", operationId="deleteMySession", **ADDITION)
@response_schema(MessageSchema(), 200, description="The login has ended")
async def delete_my_session(request: web.Request) -> web.Response:
    """The login ends at once; with the ID of the current one, the caller logs out."""
    await sessions.end_session(context_of(request), request[CALLER], request.match_info["sessionID"])
    return message("The login has been ended")
