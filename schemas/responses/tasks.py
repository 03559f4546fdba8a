"""Responses about tasks."""

from marshmallow import fields, validate

from postroom.schemas.fields import ADDITION, Input, Int


class QueuedSchema(Input):
    """The work goes on as a task, which shows its progress."""

    message = fields.String(required=True)
    taskID = Int(required=True)


class TaskSchema(Input):
    """Work that may take longer than a request. `params` has the parameters, the counts and the result so far."""

    ID = Int(required=True)
    command = fields.String(required=True)
    state = Int(required=True, validate=validate.OneOf(range(6)))
    created = fields.String(required=True)
    updated = fields.String(required=True)
    message = fields.String(required=True)
    params = fields.Dict(keys=fields.String(), required=True)


class TaskListSchema(Input):
    """A page of tasks."""

    count = Int(required=True, metadata=ADDITION)
    data = fields.List(fields.Nested(TaskSchema), required=True)


class TasqStatusSchema(Input):
    """Whether the task queue runs, and how many tasks wait."""

    running = fields.Boolean(required=True)
    queued = Int(required=True)
    workers = Int(required=True)
