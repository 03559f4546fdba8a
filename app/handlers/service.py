"""Operations for the ActiveSync server: policies, wipes and the states of devices."""

import orjson
from aiohttp import web

from postroom.app.openapi.decorators import about, docs, json_schema, querystring_schema, response_schema
from postroom.app.services import wipes
from postroom.app.transactions import devices
from postroom.app.transactions.devices import Origin, WipeReport
from postroom.app.transactions.lookups import username_not_found
from postroom.app.web.inputs import load
from postroom.app.web.keys import BODY, CALLER, QUERY, context_of
from postroom.app.web.lookups import owner
from postroom.app.web.responses import json_document, json_response, message
from postroom.app.web.trust import login_source, source_of
from postroom.schemas.devices import (
    DevicePathSchema,
    DeviceReportSchema,
    DevicesQuerySchema,
    WipeReportSchema,
)
from postroom.schemas.fields import ADDITION
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.devices import (
    DeviceContactsSchema,
    DeviceDueSchema,
    DeviceStatusesSchema,
    SyncPolicyAnswerSchema,
    UserInformationSchema,
)
from postroom.schemas.sync_policy import effective_policy
from postroom.storage.devices import select_contacts, select_info, select_policies, select_wipe_statuses

TAGS = ["Service"]

_PATH = DevicePathSchema(unknown="exclude")


@docs(tags=TAGS, summary="The sync policy of a user", operationId="getUserSyncPolicy")
@response_schema(SyncPolicyAnswerSchema(), 200, description="The policy as it takes effect")
async def get_sync_policy(request: web.Request) -> web.Response:
    """The defaults, then the domain's values, then the user's own. An unknown name gets the defaults, never a 404."""
    # Never 404: the ActiveSync server would remember an empty policy for a day.
    found = await select_policies(context_of(request).database, request.match_info["username"])
    return json_response({"data": effective_policy(*orjson.loads(found or "[]"))})


@docs(tags=TAGS, summary="The wipe status of a user's devices", operationId="getUserDeviceWipeStatus")
@querystring_schema(DevicesQuerySchema())
@response_schema(DeviceStatusesSchema(), 200, description="The status of each device by its ID")
@about(owner)
async def get_wipe(request: web.Request) -> web.Response:
    """Shows the devices that `devices` names, or all devices of the user. An unknown device has status 0."""
    username = request.match_info["username"]
    return _found(
        await select_wipe_statuses(context_of(request).database, username, request[QUERY]["devices"]), username
    )


@docs(tags=TAGS, summary="Report what became of a wipe, or start one", operationId="setUserDeviceWipeStatus")
@querystring_schema(DevicesQuerySchema())
@json_schema(WipeReportSchema())
@response_schema(MessageSchema(), 201, description="The status is stored")
@about(owner)
async def post_wipe(request: web.Request) -> web.Response:
    """Stores the status of the devices that `devices` names, or of all devices of the user.

    Starting a wipe needs a password: the caller's own, or without a login that of the user.
    """
    data = request[BODY]
    report = WipeReport(request.match_info["username"], tuple(request[QUERY]["devices"]), data["status"])
    origin = Origin(data.get("time", context_of(request).clock.unix()), data.get("remoteIP", str(source_of(request))))
    caller_id = request[CALLER].user_id if CALLER in request else None
    await wipes.report_wipe(context_of(request), login_source(request), report, origin, data.get("password"), caller_id)
    # A webmail treats a message without "Success" at its start as a failure, although the phone is being wiped.
    return message("Success: the status has been stored", 201)


@docs(tags=TAGS, summary="When a user's devices last connected", operationId="getUserDeviceLastConnect")
@querystring_schema(DevicesQuerySchema())
@response_schema(DeviceContactsSchema(), 200, description="The last contact of each device by its ID")
@about(owner)
async def get_last_connect(request: web.Request) -> web.Response:
    """Times are UNIX times. `status` repeats the time, and is 0 for a device that never connected."""
    username = request.match_info["username"]
    return _found(await select_contacts(context_of(request).database, username, request[QUERY]["devices"]), username)


@docs(tags=TAGS, summary="Whether a user is linked to a directory", operationId="getUserInformation")
@response_schema(UserInformationSchema(), 200, description="Whether the user is linked")
async def get_user_information(request: web.Request) -> web.Response:
    """`ldap` is true for a user who is linked to an object of a directory."""
    username = request.match_info["username"]
    return _found(await select_info(context_of(request).database, username), username)


@docs(tags=TAGS, summary="Report a device's state and learn what is due", operationId="putDeviceReport", **ADDITION)
@json_schema(DeviceReportSchema())
@response_schema(DeviceDueSchema(), 200, description="The state is stored; the response says what is due")
@about(owner)
async def put_sync(request: web.Request) -> web.Response:
    """Stores the state of a device after a contact. `resync` tells the device to start over; it is true only once."""
    username, device_id = request.match_info["username"], load(_PATH, request.match_info)["deviceID"]
    context = context_of(request)
    resync, status = await context.database.write(
        devices.report_device, username, device_id, request[BODY], context.clock.unix()
    )
    return json_response({"data": {"resync": resync, "status": status}})


def _found(document: bytes | None, username: str) -> web.Response:
    if document is None:
        raise username_not_found(username)
    return json_document(document)
