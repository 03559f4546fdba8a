"""ActiveSync policies."""

import orjson
from aiohttp import web

from postroom.app.openapi.decorators import docs, response_schema
from postroom.app.web.lookups import of_domain
from postroom.app.web.responses import json_response
from postroom.schemas.responses.devices import SyncPolicyAnswerSchema
from postroom.schemas.sync_policy import effective_policy
from postroom.storage.domains import select_sync_policy


@docs(tags=["Domain Admin/Users"], summary="The sync policy of a domain", operationId="getDomainSyncPolicy")
@response_schema(SyncPolicyAnswerSchema(), 200, description="The policy as it takes effect")
async def get_domain_sync_policy(request: web.Request) -> web.Response:
    """The defaults, overridden by the domain's own values."""
    (policy,) = await of_domain(request, select_sync_policy)
    own = orjson.loads(policy) if policy else None
    return json_response({"data": effective_policy(own)})
