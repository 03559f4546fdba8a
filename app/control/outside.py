"""What happens outside of the API: devices connect, and a directory has people."""

from aiohttp import web

from postroom.app.control.states import refusals, server_of
from postroom.app.openapi.decorators import docs, json_schema, response_schema
from postroom.app.web.keys import BODY
from postroom.app.web.responses import json_response, message
from postroom.schemas.control import DirectoryPatchSchema, PersonDocumentSchema
from postroom.schemas.devices import DeviceContactSchema, WipeAcknowledgementSchema
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.control import (
    ContactSchema,
    DirectoryEntrySchema,
    MemoryDirectorySchema,
    WipeSchema,
)


@docs(tags=["Devices"], summary="A device synchronises", operationId="deviceSyncs")
@json_schema(DeviceContactSchema())
@response_schema(ContactSchema(), 200, description="What the device is told")
async def device_syncs(request: web.Request) -> web.Response:
    """From the beginning if that was requested; one that is to be wiped is told so instead."""
    with refusals():
        return json_response(await server_of(request).device_syncs(**request[BODY]))


@docs(tags=["Devices"], summary="A device has wiped itself", operationId="deviceAcknowledgesWipe")
@json_schema(WipeAcknowledgementSchema())
@response_schema(WipeSchema(), 200, description="Its wipe status now")
async def device_acknowledges_wipe(request: web.Request) -> web.Response:
    """Refused when there is no such device, or no wipe of it."""
    with refusals():
        return json_response(await server_of(request).device_acknowledges_wipe(**request[BODY]))


@docs(tags=["Directory"], summary="The directory, and everybody in it", operationId="getDirectory")
@response_schema(MemoryDirectorySchema(), 200, description="The directory inside the server")
async def get_directory(request: web.Request) -> web.Response:
    """`config` makes postroom use it."""
    return _directory(request)


@docs(tags=["Directory"], summary="Change how the directory behaves", operationId="changeDirectory")
@json_schema(DirectoryPatchSchema())
@response_schema(MemoryDirectorySchema(), 200, description="The directory as it is now")
async def change_directory(request: web.Request) -> web.Response:
    """Changes the fields that the request names."""
    directory, wanted = server_of(request).directory, request[BODY]
    if "away" in wanted:
        directory.away = wanted["away"]
    if "sizeLimit" in wanted:
        directory.size_limit = wanted["sizeLimit"]
    return _directory(request)


def _directory(request: web.Request) -> web.Response:
    directory = server_of(request).directory
    return json_response(
        {
            "away": directory.away,
            "sizeLimit": directory.size_limit,
            "config": directory.config,
            "people": directory.people,
        }
    )


@docs(tags=["Directory"], summary="Add a person", operationId="addPerson")
@json_schema(PersonDocumentSchema())
@response_schema(DirectoryEntrySchema(), 201, description="The entry")
async def add_person(request: web.Request) -> web.Response:
    """Everything but `uid` may be left out; an entry without a `uid` needs a `dn`."""
    with refusals():
        return json_response(server_of(request).directory.add(request[BODY]), 201)


@docs(tags=["Directory"], summary="Change a person", operationId="changePerson")
@json_schema(PersonDocumentSchema())
@response_schema(DirectoryEntrySchema(), 200, description="The entry")
async def change_person(request: web.Request) -> web.Response:
    """Replaces the attributes that the request names. Null removes one; `dn` moves the entry."""
    with refusals():
        return json_response(server_of(request).directory.change(request.match_info["person"], request[BODY]))


@docs(tags=["Directory"], summary="Remove a person", operationId="removePerson")
@response_schema(MessageSchema(), 200, description="The entry is gone")
async def remove_person(request: web.Request) -> web.Response:
    """By `uid` or DN."""
    who = request.match_info["person"]
    with refusals():
        server_of(request).directory.remove(who)
    return message(f"{who} has been removed")
