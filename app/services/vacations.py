"""Whose mail is answered while they are out of office."""

from postroom.app.services import mail
from postroom.app.services.context import Context
from postroom.storage import vacations
from postroom.storage.vacations import Vacation


async def find_vacation(context: Context, address: str) -> Vacation | None:
    """The out of office of whoever has this address, unless it is off. What is no address belongs to nobody."""
    key = mail.key_of(address)
    return None if key is None else await vacations.select_vacation(context.database, key)
