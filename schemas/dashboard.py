"""The query of the devices that were seen last."""

from marshmallow import Schema

from postroom.schemas.fields import QueryInt


class SeenLastQuerySchema(Schema):
    """Seconds: `filterUpdated` leaves out devices seen longer ago; of none is it known that its contact has ended."""

    filterUpdated = QueryInt(
        metadata={"description": "Leave out devices that were last seen more seconds ago than this"}
    )
    filterEnded = QueryInt(
        metadata={
            "description": "Leaves nothing out, because the end of a contact is not known; comes back as `maxEnded`"
        }
    )
