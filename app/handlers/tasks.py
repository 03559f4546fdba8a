"""Tasks: work that goes on when its request has been answered. Everyone sees their own; who reads the system, all."""

from dataclasses import replace

from aiohttp import web

from postroom.app.answers import json_answer, json_document, message, path_id
from postroom.app.context import CALLER, QUERY, context_of
from postroom.app.describe import docs, querystring_schema, response_schema
from postroom.app.services.tasks import delete_task, task_not_found
from postroom.schemas.answers import MessageSchema, TaskListSchema, TaskSchema, TasqStatusSchema
from postroom.schemas.tasks import TaskListQuerySchema
from postroom.storage.tasks import count_queued, select_task, select_tasks

TAGS = ["TasQ"]


@docs(tags=TAGS, summary="Get current status of the TasQ system", operationId="taskQStatus")
@response_schema(TasqStatusSchema(), 200, description="TasQ status returned")
async def get_status(request: web.Request) -> web.Response:
    """Tasks are done within this process, one after the other: there is always one worker."""
    queued = await count_queued(context_of(request).database)
    return json_answer({"running": True, "queued": queued, "workers": 1})


@docs(tags=TAGS, summary="Get list of currently running tasks", operationId="getTasks")
@querystring_schema(TaskListQuerySchema())
@response_schema(TaskListSchema(), 200, description="List of tasks returned")
async def list_tasks(request: web.Request) -> web.Response:
    """A page of the tasks, also of those that have ended."""
    caller = request[CALLER]
    query = replace(request[QUERY], user_id=None if caller.grants.system_read else caller.user_id)
    return json_document(await select_tasks(context_of(request).database, query))


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
    found = await select_task(context_of(request).database, task_id, None if everyones else request[CALLER].user_id)
    if found is None:
        raise task_not_found(task_id)
    return found
