"""The ActiveSync devices of a user."""

from aiohttp import web

from postroom.app.openapi.decorators import docs, json_schema, response_schema
from postroom.app.services import wipes
from postroom.app.transactions import devices
from postroom.app.transactions.devices import Origin, now
from postroom.app.transactions.users import user_not_found
from postroom.app.transactions.wipe import Event, Kind
from postroom.app.web.inputs import load
from postroom.app.web.keys import BODY, CALLER, context_of
from postroom.app.web.lookups import of_user
from postroom.app.web.responses import json_document, message, path_id
from postroom.app.web.trust import login_source, source_of
from postroom.schemas.devices import DevicePathSchema, WipeRequestSchema
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.devices import DeviceListSchema
from postroom.storage.devices import select_devices
from postroom.storage.users import select_user_row

TAGS = ["Domain Admin/Users"]

_PATH = DevicePathSchema(unknown="exclude")


@docs(tags=TAGS, summary="Get status of synced devices", operationId="getSyncedDevices")
@response_schema(DeviceListSchema(), 200, description="Devices returned")
async def list_devices(request: web.Request) -> web.Response:
    """The devices that have synchronised, or are to be wiped, by their IDs."""
    return json_document(await of_user(request, select_devices))


@docs(tags=TAGS, summary="Remove device states", operationId="removeDeviceStates")
@response_schema(MessageSchema(), 200, description="Device states removed")
async def delete_devices(request: web.Request) -> web.Response:
    """Removes the states of all devices, which start over at their next contact. Wipes under way go on."""
    domain_id, user_id = path_id(request, "domainID"), path_id(request, "userID")
    await context_of(request).database.write(devices.remove_all, domain_id, user_id, _origin(request))
    return message("The states of all devices have been removed")


@docs(tags=TAGS, summary="Remove device (issue a resync)", operationId="removeDeviceResync")
@response_schema(MessageSchema(), 200, description="Device removed")
async def delete_device(request: web.Request) -> web.Response:
    """Removes a device and its state, also one that is to be wiped. Should it come back, it starts over."""
    place = _place(request)
    await context_of(request).database.write(devices.remove_device, *place, _origin(request))
    return message(f"The device {place[2]} has been removed")


@docs(tags=TAGS, summary="Request a device resync", operationId="putDeviceResync")
@response_schema(MessageSchema(), 200, description="Resync requested")
async def put_resync(request: web.Request) -> web.Response:
    """Has a device start over at its next contact."""
    place = _place(request)
    await context_of(request).database.write(devices.request_resync, *place)
    return message(f"The device {place[2]} starts over at its next contact")


@docs(tags=TAGS, summary="Request a device wipe", operationId="postDeviceWipe")
@json_schema(WipeRequestSchema())
@response_schema(MessageSchema(), 200, description="Wipe requested")
async def post_wipe(request: web.Request) -> web.Response:
    """Has a device wiped at its next contact, also one that was not seen yet; needs the caller's own password."""
    context, data, place = context_of(request), request[BODY], _place(request)
    # Before the password: what is not in the domain is not there, whatever else is wrong.
    if await select_user_row(context.database, *place[:2]) is None:
        raise user_not_found(*place[:2])
    # Also when there is nothing to do, so that this tells nobody else whether there is.
    await wipes.check_password(context, login_source(request), request[CALLER].user_id, data.get("password"))
    event = Event(Kind.REQUEST, data["status"])
    await context.database.write(devices.change_wipe, *place, event, _origin(request))
    return message(f"The device {place[2]} is going to be wiped")


@docs(tags=TAGS, summary="Cancel wipe request", operationId="cancelWipe")
@response_schema(MessageSchema(), 200, description="Wipe request cancelled")
async def delete_wipe(request: web.Request) -> web.Response:
    """Takes a wipe back, and lets a device that was wiped be used again."""
    place = _place(request)
    await context_of(request).database.write(devices.change_wipe, *place, Event(Kind.CANCEL), _origin(request))
    return message(f"The device {place[2]} is not going to be wiped")


def _origin(request: web.Request) -> Origin:
    return Origin(now(), str(source_of(request)))


def _place(request: web.Request) -> tuple[int, int, str]:
    return path_id(request, "domainID"), path_id(request, "userID"), load(_PATH, request.match_info)["deviceID"]
