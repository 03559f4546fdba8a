"""Tasks: work that goes on when its request has been answered. Everyone sees their own; who reads the system, all."""

from dataclasses import replace

from aiohttp import web

from postroom.app.errors import NotFoundError
from postroom.app.openapi.decorators import docs, querystring_schema, response_schema, unhurried
from postroom.app.transactions.tasks import delete_task
from postroom.app.web.keys import CALLER, QUERY, context_of
from postroom.app.web.responses import json_answer, json_document, message, path_id
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.tasks import TaskListSchema, TaskSchema, TasqStatusSchema
from postroom.schemas.tasks import StartQuerySchema, StopQuerySchema, TaskListQuerySchema
from postroom.storage.tasks import select_queued_count, select_task, select_tasks

TAGS = ["TasQ"]


@docs(tags=TAGS, summary="Get current status of the TasQ system", operationId="taskQStatus")
@response_schema(TasqStatusSchema(), 200, description="TasQ status returned")
async def get_status(request: web.Request) -> web.Response:
    """Tasks are done within this process, one after the other: there is one worker, none after a stop."""
    context = context_of(request)
    queued = await select_queued_count(context.database)
    return json_answer({"running": context.tasks.open, "queued": queued, "workers": int(context.tasks.open)})


@docs(tags=TAGS, summary="Start the TasQ server", operationId="startTaskq")
@querystring_schema(StartQuerySchema())
@response_schema(MessageSchema(), 200, description="TasQ server started")
async def start_queue(request: web.Request) -> web.Response:
    """Tasks that wait get their turn again. There is one worker, however many are asked for."""
    context_of(request).tasks.resume()
    return message("The task queue has been started")


@docs(tags=TAGS, summary="Stop the TasQ server", operationId="stopTaskq")
@querystring_schema(StopQuerySchema())
@response_schema(MessageSchema(), 200, description="TasQ server stopped")
@unhurried
async def stop_queue(request: web.Request) -> web.Response:
    """No further task begins until a start, of the queue or of the service; new ones wait. One that is being worked on
    goes on; `timeout` waits so many seconds for its end.
    """
    if await context_of(request).tasks.stop(request[QUERY]["timeout"]):
        return message("The task queue has been stopped")
    return message("The task queue has been stopped; the task that is being worked on goes on to its end")


@docs(tags=TAGS, summary="Get list of currently running tasks", operationId="getTasks")
@querystring_schema(TaskListQuerySchema())
@response_schema(TaskListSchema(), 200, description="List of tasks returned")
async def list_tasks(request: web.Request) -> web.Response:
    """A page of the tasks, also of those that have ended."""
    caller = request[CALLER]
    query = replace(request[QUERY], user_id=None if caller.grants.system_read else caller.user_id)
    return json_document(await select_tasks(context_of(request).database, query, caller=caller.user_id))


@docs(tags=TAGS, summary="Get information about a specific task", operationId="getTask")
@response_schema(TaskSchema(), 200, description="Tasks returned")
async def get_task(request: web.Request) -> web.Response:
    """One task with its result as far as it has come."""
    return json_document(await _find(request, everyones=request[CALLER].grants.system_read))


@docs(tags=TAGS, summary="Delete task", operationId="deleteTask")
@response_schema(MessageSchema(), 200, description="Task deleted")
async def remove_task(request: web.Request) -> web.Response:
    """Forgets a task that has ended."""
    await _find(request, everyones=request[CALLER].grants.system_write)
    task_id = path_id(request, "ID")
    await context_of(request).database.write(delete_task, task_id)
    return message(f"Task {task_id} has been deleted")


@docs(tags=TAGS, summary="Cancel task in tasq", operationId="cancelTask")
@response_schema(MessageSchema(), 200, description="Task canceled")
async def cancel_task(request: web.Request) -> web.Response:
    """Ends a task; what it has done stays done."""
    await _find(request, everyones=request[CALLER].grants.system_write)
    task_id = path_id(request, "ID")
    await context_of(request).tasks.cancel(task_id)
    return message(f"Task {task_id} has been cancelled")


async def _find(request: web.Request, *, everyones: bool) -> bytes:
    task_id = path_id(request, "ID")
    caller = request[CALLER].user_id
    found = await select_task(context_of(request).database, task_id, None if everyones else caller, caller=caller)
    if found is None:
        raise NotFoundError.of("task", task_id)
    return found
