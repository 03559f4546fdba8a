"""Query parameters of operations on tasks."""

from typing import Any

from marshmallow import Schema, post_load

from postroom.schemas.downsync import Seconds
from postroom.schemas.fields import CommaSeparated, QueryInt, Text
from postroom.schemas.pages import MOST_NAMES, PageQuerySchema, known_fields, known_sort, page_arguments
from postroom.schemas.values.queries import TASK_MATCH_FIELDS, TASK_SORT_FIELDS, TaskQuery

_EXACT = ("command", "message", "created", "updated")


class StartQuerySchema(Schema):
    """`procs`: has no effect, because there is one worker; accepted because clients send it."""

    procs = QueryInt(load_default=1, metadata={"description": "Has no effect: there is one worker"})


class StopQuerySchema(Schema):
    """`timeout`: how long to wait for the running task, in seconds."""

    timeout = Seconds(
        load_default=0.0,
        metadata={"description": "Seconds to wait for the end of the running task, at most 300"},
    )


class TaskListQuerySchema(PageQuerySchema):
    """The query of a list of tasks; loads as a TaskQuery."""

    matchFields = CommaSeparated(Text(64), most=MOST_NAMES, load_default=list)
    ID = CommaSeparated(QueryInt())
    command = Text(64, metadata={"description": "Only tasks with exactly this command"})
    message = Text(1000, metadata={"description": "Only tasks with exactly this message"})
    created = Text(19, metadata={"description": "Only tasks created at this time: `YYYY-MM-DD HH:MM:SS`"})
    updated = Text(19, metadata={"description": "Only tasks last updated at this time: `YYYY-MM-DD HH:MM:SS`"})

    @post_load
    def _query(self, data: dict[str, Any], **_: Any) -> TaskQuery:
        return TaskQuery(
            **page_arguments(data),
            sort=known_sort(data["sort"], TASK_SORT_FIELDS),
            match_fields=known_fields(data["matchFields"], TASK_MATCH_FIELDS),
            ids=data.get("ID"),
            equal={name: data[name] for name in _EXACT if name in data},
        )
