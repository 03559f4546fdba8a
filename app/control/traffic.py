"""What was asked, and what goes wrong."""

from typing import Any

from aiohttp import web

from postroom.app.control.states import refusals, server_of
from postroom.app.errors import NotFoundError
from postroom.app.openapi.decorators import docs, json_schema, querystring_schema, response_schema
from postroom.app.web.keys import BODY, QUERY
from postroom.app.web.responses import json_response, message, path_id
from postroom.schemas.control import RequestsQuerySchema
from postroom.schemas.faults import ArmedFaultSchema, FaultSchema
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.control import ArmedFaultsSchema, NotedRequestsSchema
from postroom.testing.errors import HarnessError
from postroom.testing.journal import Request


@docs(tags=["Requests"], summary="What the server was asked", operationId="getRequests")
@querystring_schema(RequestsQuerySchema())
@response_schema(NotedRequestsSchema(), 200, description="The requests since the last reset")
async def get_requests(request: web.Request) -> web.Response:
    """These controls are not among them. The latest 10,000 are kept."""
    query, journal = request[QUERY], server_of(request).requests
    with refusals():
        found = list(journal.of(query["operation"]) if "operation" in query else journal)
    found = [each for each in found if all(getattr(each, name) == query[name] for name in _FIELDS if name in query)]
    if query["problems"]:
        found = [each for each in found if each.problems]
    shown = found[max(len(found) - query["limit"], 0) :]
    return json_response({"count": len(found), "data": [_document(each) for each in shown]})


_FIELDS = ("caller", "status")


def _document(noted: Request) -> dict[str, Any]:
    return {
        "operation": noted.operation,
        "method": noted.method,
        "path": noted.path,
        "caller": noted.caller,
        "body": noted.body,
        "status": noted.status,
        "moment": noted.moment.isoformat(),
        "seconds": noted.seconds,
        "faults": [fault.id for fault in noted.faults],
        "problems": noted.problems,
    }


@docs(tags=["Requests"], summary="Forget what the server was asked", operationId="forgetRequests")
@response_schema(MessageSchema(), 200, description="There are no requests")
async def forget_requests(request: web.Request) -> web.Response:
    """Nothing else changes."""
    server_of(request).requests.clear()
    return message("All requests are forgotten")


@docs(tags=["Faults"], summary="What goes wrong", operationId="getFaults")
@response_schema(ArmedFaultsSchema(), 200, description="The faults that are armed")
async def get_faults(request: web.Request) -> web.Response:
    """Also those that have struck as often as they should."""
    found = [fault.document for fault in server_of(request).faults]
    return json_response({"count": len(found), "data": found})


@docs(tags=["Faults"], summary="Let something go wrong", operationId="addFault")
@json_schema(FaultSchema())
@response_schema(ArmedFaultSchema(), 201, description="The fault, which is armed")
async def add_fault(request: web.Request) -> web.Response:
    """Faults strike requests below /api/v1, never these controls."""
    with refusals():
        return json_response(server_of(request).faults.load(request[BODY]).document, 201)


@docs(tags=["Faults"], summary="One fault", operationId="getFault")
@response_schema(ArmedFaultSchema(), 200, description="The fault, and how many requests it has struck")
async def get_fault(request: web.Request) -> web.Response:
    """By the ID that the response to its creation has."""
    try:
        return json_response(server_of(request).faults.find(path_id(request, "ID")).document)
    except HarnessError as error:
        raise NotFoundError(str(error)) from None


@docs(tags=["Faults"], summary="Remove a fault", operationId="removeFault")
@response_schema(MessageSchema(), 200, description="It strikes no more")
async def remove_fault(request: web.Request) -> web.Response:
    """Requests that it has struck already are not affected."""
    number = path_id(request, "ID")
    try:
        server_of(request).faults.remove(number)
    except HarnessError as error:
        raise NotFoundError(str(error)) from None
    return message(f"Fault {number} has been removed")


@docs(tags=["Faults"], summary="Remove all faults", operationId="removeFaults")
@response_schema(MessageSchema(), 200, description="Nothing goes wrong any more")
async def remove_faults(request: web.Request) -> web.Response:
    """IDs count from 1 again."""
    server_of(request).faults.clear()
    return message("All faults have been removed")
