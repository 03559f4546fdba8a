"""The record of changes."""

from typing import Final

from aiohttp import web

from postroom.app.openapi.decorators import docs, querystring_schema, response_schema
from postroom.app.web.keys import CALLER, QUERY, context_of
from postroom.app.web.ndjson import CONTENT_TYPE
from postroom.app.web.responses import json_response
from postroom.app.web.streams import send_lines
from postroom.schemas.audit import MOST_ROWS, AuditQuerySchema, read_query
from postroom.schemas.fields import ADDITION
from postroom.schemas.responses.audit import AuditListSchema
from postroom.schemas.values.audit import LAST_ID, AuditScope
from postroom.storage.audit.rows import document, select_audit, select_pieces

_USUAL: Final = 50


@docs(tags=["Audit"], summary="What was changed, by whom", operationId="getAudit", **ADDITION)
@querystring_schema(AuditQuerySchema())
@response_schema(AuditListSchema(), 200, description="The changes, the latest first")
async def list_audit(request: web.Request) -> web.StreamResponse:
    """Shows changes in the domains and organisations that the caller may read; to a caller who may read the system, all
    changes. With `Accept: application/x-ndjson` each row is a line, and the response may have any number of them.
    """
    context, data, caller = context_of(request), request[QUERY], request[CALLER]
    grants = caller.grants
    scope = AuditScope(
        grants.system_read,
        None if grants.read.everything else grants.read.ids,
        None if grants.orgs.everything else grants.orgs.ids,
    )
    if CONTENT_TYPE in request.headers.get("Accept", ""):
        query = read_query(data, context.config.timezone, data.get("limit", LAST_ID))
        found = select_pieces(context.database, query, scope, MOST_ROWS, caller=caller.user_id)
        return await send_lines(request, found, document)
    query = read_query(data, context.config.timezone, min(data.get("limit", _USUAL), MOST_ROWS))
    rows = await select_audit(context.database, query, scope, caller=caller.user_id)
    kept = rows[: query.limit]
    further = {}
    if len(rows) > len(kept) > 0:
        further = {"nextBefore" if query.from_first else "nextAfter": kept[-1][0]}
    if query.from_first:
        kept.reverse()
    return json_response({"data": [document(row) for row in kept], **further})
