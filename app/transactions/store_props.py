"""Changes the property store alone; one transaction, as in users.py."""

from collections.abc import Mapping

from postroom.app.transactions.lookups import find_mailbox_or_raise
from postroom.app.transactions.users import set_properties
from postroom.schemas.values.proptags import PropTag, Value
from postroom.storage.engine import Connection


def change(connection: Connection, domain_id: int, user_id: int, properties: Mapping[PropTag, Value | None]) -> str:
    """Writes properties; None removes one. Returns the username. Raises NotFoundError, InvalidError (a contact)."""
    user = find_mailbox_or_raise(connection, domain_id, user_id)
    set_properties(connection, user_id, properties)
    return user.username
