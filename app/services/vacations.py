"""Whose mail is answered while they are out of office."""

from postroom.app.services.context import Context
from postroom.schemas.addresses import normalise_address
from postroom.schemas.values.text import fold
from postroom.storage import vacations
from postroom.storage.vacations import Vacation


async def find_vacation(context: Context, address: str) -> Vacation | None:
    """The out of office of whoever has this address, unless it is off. What is no address belongs to nobody."""
    try:
        key = fold(normalise_address(address))
    except ValueError:
        return None
    return await vacations.select_vacation(context.database, key)
