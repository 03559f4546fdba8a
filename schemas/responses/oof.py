"""Responses about out of office."""

from marshmallow import fields

from postroom.schemas.fields import Bool, Input
from postroom.schemas.oof import OofSchema


class OofInForceSchema(OofSchema):
    """The out of office state, and whether replies are due at this moment."""

    inForce = Bool(required=True)


class ServiceOofSchema(Input):
    """What a mail server asks for before it replies."""

    data = fields.Nested(OofInForceSchema, required=True)
