"""ActiveSync policies."""

import orjson
from aiohttp import web

from postroom.app.answers import json_answer, path_id
from postroom.app.context import context_of
from postroom.app.describe import docs, response_schema
from postroom.app.errors import NotFoundError
from postroom.schemas.answers import SyncPolicyAnswerSchema
from postroom.schemas.sync_policy import effective_policy
from postroom.storage.domains import select_sync_policy


@docs(tags=["Domain Admin/Users"], summary="Get effective domain sync policy", operationId="getDomainSyncPolicy")
@response_schema(SyncPolicyAnswerSchema(), 200, description="Domain sync policy returned")
async def get_domain_sync_policy(request: web.Request) -> web.Response:
    """The defaults, overlaid with what the domain says."""
    domain_id = path_id(request, "domainID")
    row = await select_sync_policy(context_of(request).database, domain_id)
    if row is None:
        raise NotFoundError(f"There is no domain {domain_id}")
    own = orjson.loads(row[0]) if row[0] else None
    return json_answer({"data": effective_policy(own)})
