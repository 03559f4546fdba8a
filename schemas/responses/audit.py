"""Responses with the record of changes."""

from marshmallow import fields, validate

from postroom.schemas.fields import Input, Int
from postroom.schemas.values.audit import KINDS, MEANS


class AuditRowSchema(Input):
    """What one write has changed in one object. `changes` has for each field what it was before and after; of a list,
    the members that went and those that came.
    """

    ID = Int(required=True)
    time = fields.String(required=True)
    actorID = Int(required=True, allow_none=True)
    actor = fields.String(required=True)
    means = fields.String(required=True, validate=validate.OneOf(MEANS))
    tokenID = Int(required=True, allow_none=True)
    token = fields.String(required=True)
    source = fields.String(required=True)
    requestID = fields.String(required=True)
    operation = fields.String(required=True)
    action = fields.String(required=True, validate=validate.OneOf(["create", "change", "delete"]))
    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    objectID = Int(required=True)
    name = fields.String(required=True)
    domainID = Int(required=True, allow_none=True)
    changes = fields.Dict(keys=fields.String(), required=True)


class AuditListSchema(Input):
    """Rows, the latest first. `nextAfter` or `nextBefore` is there when more follow in that direction."""

    data = fields.List(fields.Nested(AuditRowSchema), required=True)
    nextAfter = Int()
    nextBefore = Int()
