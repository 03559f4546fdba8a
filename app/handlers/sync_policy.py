"""ActiveSync policies."""

import orjson
from aiohttp import web

from postroom.app.openapi.decorators import docs, response_schema
from postroom.app.web.lookups import of_domain
from postroom.app.web.responses import json_answer
from postroom.schemas.responses.devices import SyncPolicyAnswerSchema
from postroom.schemas.sync_policy import effective_policy
from postroom.storage.domains import select_sync_policy


@docs(tags=["Domain Admin/Users"], summary="Get effective domain sync policy", operationId="getDomainSyncPolicy")
@response_schema(SyncPolicyAnswerSchema(), 200, description="Domain sync policy returned")
async def get_domain_sync_policy(request: web.Request) -> web.Response:
    """The defaults, overlaid with what the domain says."""
    (policy,) = await of_domain(request, select_sync_policy)
    own = orjson.loads(policy) if policy else None
    return json_answer({"data": effective_policy(own)})
