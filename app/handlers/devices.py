"""The ActiveSync devices of a user."""

from collections.abc import Callable
from functools import partial

from aiohttp import web

from postroom.app.auth.operator import Operator
from postroom.app.openapi.decorators import docs, json_schema, response_schema
from postroom.app.services import wipes
from postroom.app.transactions import devices
from postroom.app.transactions.devices import Origin
from postroom.app.transactions.lookups import user_not_found
from postroom.app.transactions.wipe import Event, Kind
from postroom.app.web.inputs import load
from postroom.app.web.keys import BODY, CALLER, context_of
from postroom.app.web.lookups import of_user, place_of
from postroom.app.web.responses import json_document, message
from postroom.app.web.trust import login_source, source_of
from postroom.schemas.devices import DevicePathSchema, WipeRequestSchema
from postroom.schemas.fields import ADDITION
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.devices import DeviceListSchema, WipeHistorySchema
from postroom.storage.devices import select_devices, select_wipe_history
from postroom.storage.users import select_user_row

TAGS = ["Domain Admin/Users"]

_PATH = DevicePathSchema(unknown="exclude")


@docs(tags=TAGS, summary="The ActiveSync devices of a user", operationId="getSyncedDevices")
@response_schema(DeviceListSchema(), 200, description="The devices and their states")
async def list_devices(request: web.Request) -> web.Response:
    """Lists devices that have synchronised and devices that are to be wiped, in the order of their IDs."""
    return json_document(await of_user(request, select_devices))


@docs(tags=TAGS, summary="Forget the states of all devices of a user", operationId="removeDeviceStates")
@response_schema(MessageSchema(), 200, description="The states are removed")
async def delete_devices(request: web.Request) -> web.Response:
    """Each device starts over at its next contact. Pending wipes continue."""
    await context_of(request).database.write(devices.remove_all, *place_of(request), origin_of(request))
    return message("The states of all devices have been removed")


@docs(tags=TAGS, summary="Remove a device", operationId="removeDeviceResync")
@response_schema(MessageSchema(), 200, description="The device is removed")
async def delete_device(request: web.Request) -> web.Response:
    """Removes the device and its state, even during a pending wipe. If the device connects again, it starts over."""
    place = device_of(request)
    await context_of(request).database.write(devices.remove_device, *place, origin_of(request))
    return message(f"The device {place[2]} has been removed")


@docs(tags=TAGS, summary="Make a device start over", operationId="putDeviceResync")
@response_schema(MessageSchema(), 200, description="The device starts over at its next contact")
async def put_resync(request: web.Request) -> web.Response:
    """The device synchronises from the beginning at its next contact. It stays in the list."""
    place = device_of(request)
    await context_of(request).database.write(devices.request_resync, *place)
    return message(f"The device {place[2]} starts over at its next contact")


@docs(tags=TAGS, summary="Wipe a device", operationId="postDeviceWipe")
@json_schema(WipeRequestSchema())
@response_schema(MessageSchema(), 200, description="The device is to be wiped")
async def post_wipe(request: web.Request) -> web.Response:
    """Wipes the device at its next contact, even one that was never seen. Needs the caller's own password. Changes
    nothing if a wipe is pending already.
    """
    return await wipe(request, devices.change_wipe)


async def wipe(request: web.Request, change: Callable[..., object]) -> web.Response:
    """The response to a request for a wipe, which `change` stores: devices.change_wipe, or one like it."""
    context, data, place = context_of(request), request[BODY], device_of(request)
    # Before the password: an unknown user is a 404 even if the password is wrong.
    if await select_user_row(context.database, *place[:2]) is None:
        raise user_not_found(*place[:2])
    caller = request[CALLER]
    # Checked even if there is nothing to do, so that only the caller learns whether a wipe is pending.
    if not isinstance(caller, Operator):
        await wipes.check_password(context, login_source(request), caller.user_id, data.get("password"))
    event = Event(Kind.REQUEST, data["status"])
    await context.database.write(change, *place, event, origin_of(request))
    return message(f"The device {place[2]} is going to be wiped")


@docs(tags=TAGS, summary="Cancel the wipe of a device", operationId="cancelWipe")
@response_schema(MessageSchema(), 200, description="The device is not to be wiped")
async def delete_wipe(request: web.Request) -> web.Response:
    """Also lets a device that has been wiped be used again. Succeeds even if there is nothing to cancel."""
    place = device_of(request)
    await context_of(request).database.write(devices.change_wipe, *place, Event(Kind.CANCEL), origin_of(request))
    return message(f"The device {place[2]} is not going to be wiped")


@docs(tags=["Misc"], summary="What has become of the wipes of a device", operationId="getWipeHistory", **ADDITION)
@response_schema(WipeHistorySchema(), 200, description="The changes of the status, the latest first")
async def get_wipe_history(request: web.Request) -> web.Response:
    """Shows at most the last 100, also of a device that was removed; nothing for one that never had a wipe."""
    device_id = device_of(request)[2]
    return json_document(await of_user(request, partial(select_wipe_history, device_id=device_id)))


def origin_of(request: web.Request) -> Origin:
    """When and from where the request came."""
    return Origin(context_of(request).clock.unix(), str(source_of(request)))


def device_of(request: web.Request) -> tuple[int, int, str]:
    """(domain ID, user ID, device ID) of the device in the path."""
    return *place_of(request), load(_PATH, request.match_info)["deviceID"]
