"""Many users of a domain at once."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from aiohttp import web

from postroom.app.errors import ConflictError, HungUpError, InvalidError
from postroom.app.openapi.decorators import docs, in_lines, querystring_schema, response_schema
from postroom.app.services.bulk import Bulk, Options
from postroom.app.transactions.bulk import Outcome
from postroom.app.web.bulk_lines import load_lines
from postroom.app.web.error_responses import failure_document
from postroom.app.web.keys import CALLER, QUERY, context_of
from postroom.app.web.lookups import of_domain
from postroom.app.web.ndjson import LineWriter, open_lines
from postroom.app.web.responses import path_id
from postroom.schemas.bulk import BulkLineSchema, UserBulkQuerySchema
from postroom.schemas.fields import ADDITION
from postroom.schemas.responses.bulk import BulkResultSchema
from postroom.storage.domains import select_domainname
from postroom.storage.tasks import BESIDE


@in_lines(BulkLineSchema())
@docs(tags=["Users"], summary="Create, change and delete many users of a domain", operationId="bulkUsers", **ADDITION)
@querystring_schema(UserBulkQuerySchema())
@response_schema(BulkResultSchema(), 200, description="The ID of the task, a line for each line, and how it ended")
async def bulk_users(request: web.Request) -> web.StreamResponse:
    """Does each line as the single operation of its action would do it, in order, and responds with a line for each. An
    error concerns its own line only. If the connection breaks, whole lines are done, and the task says which.
    """
    reader, writer = open_lines(request)
    await of_domain(request, select_domainname)
    first = await reader.read()
    if not first:
        raise InvalidError("The body has no lines")
    context, query, caller = context_of(request), request[QUERY], request[CALLER]
    bulk = Bulk(context, path_id(request, "domainID"), caller, Options(query["dryRun"], query["stopOnError"]))

    async def work(task_id: int) -> str:
        await writer.write({"taskID": task_id})
        return await bulk.run(task_id, load_lines(reader, first), partial(_report, request, writer))

    task_id = await context.tasks.start_beside(BESIDE, bulk.params(), caller, work)
    try:
        await context.tasks.wait(task_id)
        if bulk.summary is None:
            raise ConflictError("The task was cancelled")
        end = {"status": 200, "message": bulk.summary}
    except HungUpError:
        raise
    except Exception as error:  # noqa: BLE001 - the head of the response has gone out
        end = failure_document(request, error)
    return await writer.end({**end, **bulk.progress.counts()})


async def _report(request: web.Request, writer: LineWriter, outcomes: Sequence[Outcome]) -> None:
    await writer.write(*(_result(request, outcome) for outcome in outcomes))


def _result(request: web.Request, outcome: Outcome) -> dict[str, Any]:
    number = {"line": outcome.line.number}
    if outcome.error is not None:
        return number | failure_document(request, outcome.error)
    # A dry run makes no ID.
    user = {} if request[QUERY]["dryRun"] and outcome.status == 201 else {"ID": outcome.user_id}
    return {**number, "status": outcome.status, **user}
