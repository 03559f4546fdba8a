"""For the ActiveSync server: policies, wipes and what it knows of devices."""

import orjson
from aiohttp import web

from postroom.app.errors import NotFoundError
from postroom.app.openapi.decorators import ADDITION, about, docs, json_schema, querystring_schema, response_schema
from postroom.app.services import wipes
from postroom.app.transactions import devices
from postroom.app.transactions.devices import Origin, WipeReport, now
from postroom.app.web.inputs import load
from postroom.app.web.keys import BODY, CALLER, QUERY, context_of
from postroom.app.web.lookups import owner
from postroom.app.web.responses import json_answer, json_document, message
from postroom.app.web.trust import login_source, source_of
from postroom.schemas.devices import (
    DevicePathSchema,
    DeviceReportSchema,
    DevicesQuerySchema,
    WipeReportSchema,
)
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


@docs(tags=TAGS, summary="Get sync policy for specific user", operationId="getUserSyncPolicy")
@response_schema(SyncPolicyAnswerSchema(), 200, description="Policy returned")
async def get_sync_policy(request: web.Request) -> web.Response:
    """The defaults, overlaid with what the domain says, then the user. A name that nobody has gets the defaults."""
    # Never 404: the ActiveSync server would remember an empty policy for a day.
    found = await select_policies(context_of(request).database, request.match_info["username"])
    return json_answer({"data": effective_policy(*orjson.loads(found or "[]"))})


@docs(tags=TAGS, summary="Get device wipe status for user", operationId="getUserDeviceWipeStatus")
@querystring_schema(DevicesQuerySchema())
@response_schema(DeviceStatusesSchema(), 200, description="List of devices returned")
@about(owner)
async def get_wipe(request: web.Request) -> web.Response:
    """The wipe status of the devices asked for, 0 for one that is not known; of all there are when none is named."""
    username = request.match_info["username"]
    return _found(
        await select_wipe_statuses(context_of(request).database, username, request[QUERY]["devices"]), username
    )


@docs(tags=TAGS, summary="Set device wipe status for user", operationId="setUserDeviceWipeStatus")
@querystring_schema(DevicesQuerySchema())
@json_schema(WipeReportSchema())
@response_schema(MessageSchema(), 201, description="States changed")
@about(owner)
async def post_wipe(request: web.Request) -> web.Response:
    """Stores what has become of the devices named, or of all of the user's.

    To start a wipe takes the caller's password, without a login the owner's.
    """
    data = request[BODY]
    report = WipeReport(request.match_info["username"], tuple(request[QUERY]["devices"]), data["status"])
    origin = Origin(data.get("time", now()), data.get("remoteIP", str(source_of(request))))
    caller_id = request[CALLER].user_id if CALLER in request else None
    await wipes.report_wipe(context_of(request), login_source(request), report, origin, data.get("password"), caller_id)
    # A webmail takes every message that begins otherwise for a failure, while the phone is being wiped.
    return message("Success: the status has been stored", 201)


@docs(tags=TAGS, summary="Get device last connect time for user", operationId="getUserDeviceLastConnect")
@querystring_schema(DevicesQuerySchema())
@response_schema(DeviceContactsSchema(), 200, description="List of devices returned")
@about(owner)
async def get_last_connect(request: web.Request) -> web.Response:
    """The UNIX time of the last contact of the devices asked for; `status` is the same, and 0 when there was none."""
    username = request.match_info["username"]
    return _found(await select_contacts(context_of(request).database, username, request[QUERY]["devices"]), username)


@docs(tags=TAGS, summary="Get basic user information", operationId="getUserInformation")
@response_schema(UserInformationSchema(), 200, description="User info returned")
async def get_user_information(request: web.Request) -> web.Response:
    """Whether the user is linked to a directory."""
    username = request.match_info["username"]
    return _found(await select_info(context_of(request).database, username), username)


@docs(tags=TAGS, summary="Report a device's state and learn what is due", operationId="putDeviceReport", **ADDITION)
@json_schema(DeviceReportSchema())
@response_schema(DeviceDueSchema(), 200, description="State stored")
@about(owner)
async def put_sync(request: web.Request) -> web.Response:
    """Stores the state of a device after a contact; answers whether it has to start over, which is said once."""
    username, device_id = request.match_info["username"], load(_PATH, request.match_info)["deviceID"]
    resync, status = await context_of(request).database.write(
        devices.report_device, username, device_id, request[BODY], now()
    )
    return json_answer({"data": {"resync": resync, "status": status}})


def _found(document: bytes | None, username: str) -> web.Response:
    if document is None:
        raise NotFoundError.of("user", repr(username[:100]))
    return json_document(document)
