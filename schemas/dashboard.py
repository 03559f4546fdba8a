"""Query parameters of the list of recently seen devices."""

from marshmallow import Schema

from postroom.schemas.fields import QueryInt


class SeenLastQuerySchema(Schema):
    """In seconds: `filterUpdated` leaves out devices seen longer ago. `filterEnded` has no effect."""

    filterUpdated = QueryInt(
        metadata={"description": "Leave out devices that were last seen more seconds ago than this"}
    )
    filterEnded = QueryInt(
        metadata={
            "description": "Leaves nothing out, because the end of a contact is not known; comes back as `maxEnded`"
        }
    )
