"""The data of a dashboard: this machine, its services, the devices seen last, the DNS of a domain."""

from typing import Final

import orjson
from aiohttp import web

from postroom.app.openapi.decorators import docs, querystring_schema, response_schema
from postroom.app.services import health
from postroom.app.web.keys import CALLER, QUERY, context_of
from postroom.app.web.lookups import of_domain
from postroom.app.web.responses import json_response
from postroom.schemas.dashboard import SeenLastQuerySchema
from postroom.schemas.fields import ADDITION
from postroom.schemas.responses.dashboard import DashboardSchema, DnsCheckSchema, SeenLastSchema, ServicesSchema
from postroom.schemas.responses.status import HealthSchema
from postroom.storage.devices import select_seen_last
from postroom.storage.domains import select_domainname

TAGS = ["System Admin/Dashboard"]

#: Most devices in a response.
SHOWN: Final = 1000


@docs(tags=TAGS, summary="Load, memory and disks of this machine", operationId="getDashboard")
@response_schema(DashboardSchema(), 200, description="The figures")
async def get_dashboard(request: web.Request) -> web.Response:
    """Shows the figures of this moment. Leaves out a disk that does not answer."""
    return json_response(await context_of(request).machine.figures())


@docs(tags=TAGS, summary="The services on this machine", operationId="getServicesList")
@response_schema(ServicesSchema(), 200, description="The services and their states")
async def list_services(request: web.Request) -> web.Response:
    """postroom itself, and Postfix, Dovecot and slapd where systemd has them."""
    return json_response({"services": await context_of(request).units.services()})


@docs(tags=TAGS, summary="Whether each part of the service works", operationId="getHealth", **ADDITION)
@response_schema(HealthSchema(), 200, description="The parts, and whether all of them work")
async def get_health(request: web.Request) -> web.Response:
    """Asks the database, the task queue and the directories that are in use (at most 20) at this moment, and looks at
    the newest backup where such are configured.
    """
    return json_response(await health.describe(context_of(request)))


@docs(tags=["Misc"], summary="The devices that were seen last", operationId="syncTop")
@querystring_schema(SeenLastQuerySchema())
@response_schema(SeenLastSchema(), 200, description="The devices, the latest first")
async def list_seen_last(request: web.Request) -> web.Response:
    """Devices of all users, the latest first, at most 1000. The end of a contact is never known."""
    query = request[QUERY]
    within = query.get("filterUpdated")
    since = 0 if within is None else context_of(request).clock.unix() - within
    data = await select_seen_last(context_of(request).database, since, SHOWN, caller=request[CALLER].user_id)
    limits = {"maxUpdated": within, "maxEnded": query.get("filterEnded")}
    given = {name: value for name, value in limits.items() if value is not None}
    return json_response({**given, "data": orjson.Fragment(data)})


@docs(tags=["Misc"], summary="What the DNS says about a domain", operationId="getDomainDnsCheck")
@response_schema(DnsCheckSchema(), 200, description="The records that were found")
async def get_dns_check(request: web.Request) -> web.Response:
    """Queries the DNS now. All look-ups share one time limit; a value that is not known by then is null."""
    domainname = await of_domain(request, select_domainname)
    return json_response(await context_of(request).dns.check(domainname))
