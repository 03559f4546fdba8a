"""Responses about the out-of-office state."""

from marshmallow import fields

from postroom.schemas.fields import Bool, Input
from postroom.schemas.oof import OofSchema


class OofInForceSchema(OofSchema):
    """The out-of-office state, and whether replies are due now."""

    inForce = Bool(required=True)


class ServiceOofSchema(Input):
    """The out-of-office state for a mail server that may have to reply."""

    data = fields.Nested(OofInForceSchema, required=True)
