"""The query of the devices that were seen last."""

from marshmallow import Schema

from postroom.schemas.fields import QueryInt


class SeenLastQuerySchema(Schema):
    """Seconds: `filterUpdated` leaves out devices seen longer ago; of none is it known that its contact has ended."""

    filterUpdated = QueryInt()
    filterEnded = QueryInt()
