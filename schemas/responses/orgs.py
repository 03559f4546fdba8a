"""Responses about organisations."""

from marshmallow import fields

from postroom.schemas.fields import ADDITION, Input, Int, Text
from postroom.schemas.responses.domains import DomainRefSchema


class OrgSchema(Input):
    """An organisation. The level decides which fields it has."""

    ID = Int(required=True)
    name = Text(32, required=True)
    description = Text(128, allow_none=True, line=False)
    domainCount = Int()
    domains = fields.List(fields.Nested(DomainRefSchema))


class OrgListSchema(Input):
    """A page of organisations; `count` is the total number of matches."""

    count = Int(required=True, metadata=ADDITION)
    data = fields.List(fields.Nested(OrgSchema), required=True)
