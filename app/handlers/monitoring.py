"""For programs that watch the service: metrics, and whether it lives and is ready. None of it is part of the API."""

import asyncio

from aiohttp import web

from postroom.app.errors import ForbiddenError, UnavailableError
from postroom.app.limits.in_flight import IN_FLIGHT
from postroom.app.services import measuring
from postroom.app.web.keys import context_of
from postroom.app.web.responses import json_response
from postroom.app.web.trust import may_scrape


async def get_metrics(request: web.Request) -> web.Response:
    """What all workers have counted, in the text format of Prometheus."""
    if not may_scrape(request):
        raise ForbiddenError("Metrics are for the addresses of POSTROOM_METRICS_NETWORKS, without a proxy in between")
    # Imported at the first scrape: a service that nobody watches needs no client of Prometheus.
    from postroom.app.metrics import exposition

    context = context_of(request)
    found = exposition.text(context.metrics, await measuring.read(context))
    return web.Response(body=found, headers={"Content-Type": exposition.CONTENT_TYPE, "Cache-Control": "no-store"})


async def get_healthz(_request: web.Request) -> web.Response:
    """The event loop answers, whatever else is wrong: a restart would not help."""
    return json_response({"message": "Alive"})


async def get_readyz(request: web.Request) -> web.Response:
    """The service can serve requests now. It serves none before the schema is up to date."""
    if request.app[IN_FLIGHT].stopping:
        raise UnavailableError("The service is shutting down")
    try:
        async with asyncio.timeout(measuring.PATIENCE):
            await context_of(request).database.check()
    except TimeoutError:
        raise UnavailableError("The database does not answer") from None
    return json_response({"message": "Ready"})
