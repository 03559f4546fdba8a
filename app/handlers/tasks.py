"""Tasks: work that continues after the response.

Callers see their own tasks, or all if they may read the system. A token sees those that were started by it: other tasks
of its owner may be about what the token may not see.
"""

from dataclasses import replace

from aiohttp import web

from postroom.app.auth.tokens import Caller
from postroom.app.errors import NotFoundError
from postroom.app.openapi.decorators import docs, querystring_schema, response_schema, unhurried
from postroom.app.transactions.tasks import delete_task
from postroom.app.web.keys import CALLER, QUERY, context_of
from postroom.app.web.responses import json_document, json_response, message, path_id
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.tasks import TaskListSchema, TaskSchema, TasqStatusSchema
from postroom.schemas.tasks import StartQuerySchema, StopQuerySchema, TaskListQuerySchema
from postroom.storage.tasks import select_queued_count, select_task, select_tasks

TAGS = ["TasQ"]


@docs(tags=TAGS, summary="Whether the task queue runs, and how many tasks wait", operationId="taskQStatus")
@response_schema(TasqStatusSchema(), 200, description="The state of the queue")
async def get_status(request: web.Request) -> web.Response:
    """One worker runs the tasks one after the other. After a stop there is no worker."""
    context = context_of(request)
    queued, running = await select_queued_count(context.database), await context.tasks.is_open()
    return json_response({"running": running, "queued": queued, "workers": int(running)})


@docs(tags=TAGS, summary="Start the task queue", operationId="startTaskq")
@querystring_schema(StartQuerySchema())
@response_schema(MessageSchema(), 200, description="The task queue runs")
async def start_queue(request: web.Request) -> web.Response:
    """One worker runs the waiting tasks again."""
    await context_of(request).tasks.resume()
    return message("The task queue has been started")


@docs(tags=TAGS, summary="Stop the task queue", operationId="stopTaskq")
@querystring_schema(StopQuerySchema())
@response_schema(MessageSchema(), 200, description="No further task begins")
@unhurried
async def stop_queue(request: web.Request) -> web.Response:
    """No further task begins until the queue or the service is started again; new tasks wait. A running task continues;
    with `timeout`, the response waits for its end.
    """
    if await context_of(request).tasks.stop(request[QUERY]["timeout"]):
        return message("The task queue has been stopped")
    return message("The task queue has been stopped; the running task continues to its end")


@docs(tags=TAGS, summary="Tasks, page by page", operationId="getTasks")
@querystring_schema(TaskListQuerySchema())
@response_schema(TaskListSchema(), 200, description="The page, and how many tasks match in all")
async def list_tasks(request: web.Request) -> web.Response:
    """Lists tasks that wait, run or have ended: all of them for a caller who may read the system, otherwise the
    caller's own.
    """
    caller = request[CALLER]
    user_id, token_id = _whose(caller, everyones=caller.grants.system_read)
    query = replace(request[QUERY], user_id=user_id, token_id=token_id)
    return json_document(await select_tasks(context_of(request).database, query, caller=caller.user_id))


@docs(tags=TAGS, summary="One task", operationId="getTask")
@response_schema(TaskSchema(), 200, description="The task")
async def get_task(request: web.Request) -> web.Response:
    """Shows the task and its result so far."""
    return json_document(await _find(request, everyones=request[CALLER].grants.system_read))


@docs(tags=TAGS, summary="Delete a task that has ended", operationId="deleteTask")
@response_schema(MessageSchema(), 200, description="The task is deleted")
async def remove_task(request: web.Request) -> web.Response:
    """Refuses a task that has not ended. The changes that the task made are kept."""
    await _find(request, everyones=request[CALLER].grants.system_write)
    task_id = path_id(request, "ID")
    await context_of(request).database.write(delete_task, task_id)
    return message(f"Task {task_id} has been deleted")


@docs(tags=TAGS, summary="Cancel a task", operationId="cancelTask")
@response_schema(MessageSchema(), 200, description="The task is cancelled")
async def cancel_task(request: web.Request) -> web.Response:
    """The changes that the task has made so far are kept. Refuses a task that has ended."""
    await _find(request, everyones=request[CALLER].grants.system_write)
    task_id = path_id(request, "ID")
    await context_of(request).tasks.cancel(task_id)
    return message(f"Task {task_id} has been cancelled")


async def _find(request: web.Request, *, everyones: bool) -> bytes:
    task_id = path_id(request, "ID")
    caller = request[CALLER]
    whose = _whose(caller, everyones=everyones)
    found = await select_task(context_of(request).database, task_id, *whose, caller=caller.user_id)
    if found is None:
        raise NotFoundError.of("task", task_id)
    return found


def _whose(caller: Caller, *, everyones: bool) -> tuple[int | None, int | None]:
    """(user ID, token ID) of the tasks that the caller sees; None for any."""
    if everyones:
        return None, None
    return caller.user_id, None if caller.token is None else caller.token.id
