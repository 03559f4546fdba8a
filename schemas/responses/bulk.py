"""The lines of the response to a bulk request."""

from marshmallow import fields

from postroom.schemas.fields import Input, Int


class BulkCountsSchema(Input):
    """How many lines were done, by their action."""

    create = Int(required=True)
    patch = Int(required=True)
    delete = Int(required=True)


class BulkResultSchema(Input):
    """One line of the response. The first has the task's ID, which leads to the results later on. Then each line of the
    request has one, in order: its number, the status and the errors that the single operation would have, and the ID of
    the user. The last, without which the response is incomplete, has no `line`: it says how it ended, and counts.
    """

    taskID = Int()
    line = Int()
    status = Int()
    ID = Int()
    message = fields.String()
    errors = fields.List(fields.String())
    error = fields.String()
    requestID = fields.String()
    lines = Int()
    done = fields.Nested(BulkCountsSchema)
    refused = Int()
