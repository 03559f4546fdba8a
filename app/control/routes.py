"""The route table of the controls. They need no login, so they exist in `postroom serve --ephemeral` only."""

from functools import cache
from typing import Final

from aiohttp import web

from postroom.app.control import outside, states, traffic
from postroom.app.openapi.about import About
from postroom.app.openapi.decorators import docs, response_schema
from postroom.app.openapi.document import build
from postroom.app.web.responses import json_document
from postroom.app.web.routing import NoPages, Route
from postroom.testing.journal import CONTROLS

_ABOUT: Final = About(
    "postroom: controls of a server for tests",
    "What `postroom serve --ephemeral` has beside the API: to seed it, turn its clock, let it fail, and see what it "
    "got. There is no login: whoever reaches the server may use this.",
    tags={
        "Store": "What is stored, and who is logged in",
        "Clock": "The time of the server",
        "Requests": "What was asked",
        "Faults": "What goes wrong",
        "Devices": "What devices do",
        "Directory": "The LDAP directory inside the server",
        "Description": "This document",
    },
    security={},
    ids={"ID": "The fault, by ID"},
    path_texts={
        "name": ("The snapshot, by the name that it was made with", {}),
        "person": ("The entry, by `uid` or DN", {}),
    },
    headers={},
    examples=list,
)


@docs(tags=["Description"], summary="This description of the controls", operationId="getControls")
@response_schema({"type": "object", "additionalProperties": True}, 200, description="The document")
async def get_openapi(_request: web.Request) -> web.Response:
    """An OpenAPI 3 document."""
    return json_document(document())


here: Final = NoPages()

ROUTES: Final = [
    Route("POST", "/reset", states.reset, here),
    Route("POST", "/snapshots", states.make_snapshot, here),
    Route("POST", "/snapshots/{name}/restore", states.restore_snapshot, here),
    Route("GET", "/seed", states.dump_seed, here),
    Route("PUT", "/seed", states.load_seed, here),
    Route("POST", "/logins", states.log_in, here),
    Route("GET", "/clock", states.get_clock, here),
    Route("PATCH", "/clock", states.turn_clock, here),
    Route("GET", "/requests", traffic.get_requests, here),
    Route("DELETE", "/requests", traffic.forget_requests, here),
    Route("GET", "/faults", traffic.get_faults, here),
    Route("POST", "/faults", traffic.add_fault, here),
    Route("DELETE", "/faults", traffic.remove_faults, here),
    Route("GET", "/faults/{ID}", traffic.get_fault, here),
    Route("DELETE", "/faults/{ID}", traffic.remove_fault, here),
    Route("POST", "/devices/syncs", outside.device_syncs, here),
    Route("POST", "/devices/wipes", outside.device_acknowledges_wipe, here),
    Route("GET", "/directory", outside.get_directory, here),
    Route("PATCH", "/directory", outside.change_directory, here),
    Route("POST", "/directory/people", outside.add_person, here),
    Route("PATCH", "/directory/people/{person}", outside.change_person, here),
    Route("DELETE", "/directory/people/{person}", outside.remove_person, here),
    Route("GET", "/openapi.json", get_openapi, here),
]

#: With whole paths.
BESIDE: Final = [route._replace(path=CONTROLS + route.path) for route in ROUTES]


@cache
def document() -> bytes:
    """The OpenAPI document of the controls."""
    return build(CONTROLS, ROUTES, _ABOUT)
