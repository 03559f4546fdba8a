"""Updates many users from the directory."""

from aiohttp import web

from postroom.app.errors import NotFoundError
from postroom.app.openapi.decorators import docs, querystring_schema, response_schema, unhurried
from postroom.app.services.ldap_sync import start_sync
from postroom.app.services.ldap_sync_run import Options
from postroom.app.services.ldap_targets import NO_ORG, SyncTarget
from postroom.app.web.keys import CALLER, QUERY, context_of
from postroom.app.web.responses import json_document, json_response, path_id
from postroom.schemas.downsync import BulkQuerySchema
from postroom.schemas.responses.ldap import SyncAnswerSchema
from postroom.schemas.responses.tasks import QueuedSchema
from postroom.storage.tasks import select_result

TAGS = ["LDAP"]


@docs(tags=TAGS, summary="Update the users of all domains from the directory", operationId="updateAllUsers")
@querystring_schema(BulkQuerySchema())
@response_schema(SyncAnswerSchema(), 200, description="What became of each user")
@response_schema(QueuedSchema(), 202, description="The update outlasts `timeout` and goes on as a task")
@unhurried
async def sync_all(request: web.Request) -> web.Response:
    """Updates every linked user, each from the directory of their domain."""
    return await _sync(request, SyncTarget())


@docs(tags=TAGS, summary="Update the users of a domain from the directory", operationId="updateAllDomainUsers")
@querystring_schema(BulkQuerySchema())
@response_schema(SyncAnswerSchema(), 200, description="What became of each user")
@response_schema(QueuedSchema(), 202, description="The update outlasts `timeout` and goes on as a task")
@unhurried
async def sync_domain(request: web.Request) -> web.Response:
    """Updates every linked user of the domain."""
    return await _sync(request, SyncTarget(path_id(request, "domainID"), reach=request[CALLER].grants.write))


@docs(tags=TAGS, summary="Update an organisation's users from the directory", operationId="updateOrgLDAPUsers")
@querystring_schema(BulkQuerySchema())
@response_schema(SyncAnswerSchema(), 200, description="What became of each user")
@response_schema(QueuedSchema(), 202, description="The update outlasts `timeout` and goes on as a task")
@unhurried
async def sync_org(request: web.Request) -> web.Response:
    """Updates every linked user of the organisation's domains."""
    org_id = path_id(request, "ID")
    if org_id == NO_ORG:  # means "no organisation" in a query, but no organisation has this ID
        raise NotFoundError.of("organisation", org_id)
    return await _sync(request, SyncTarget(org_id=org_id, reach=request[CALLER].grants.write))


async def _sync(request: web.Request, sync_target: SyncTarget) -> web.Response:
    context, query = context_of(request), request[QUERY]
    options = Options(query["create"], query["lang"], query["dryRun"], query["unlink"], query["force"])
    task_id = await start_sync(context, sync_target, options, request[CALLER])
    if await context.tasks.wait(task_id, query["timeout"]):
        result = await select_result(context.database, task_id)
        if result is None:  # somebody has deleted it already
            raise NotFoundError.of("task", task_id)
        return json_document(result)
    text = f"The update goes on in the background as task {task_id}"
    return json_response({"message": text, "taskID": task_id}, 202)
