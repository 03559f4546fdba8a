"""The rules of out of office: what may be set, and when it is in force."""

import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

from postroom.app.errors import InvalidError
from postroom.app.services.users import find_mailbox_or_raise
from postroom.schemas.oof import STATE_OFF, STATE_SCHEDULED
from postroom.storage import oof

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def change_oof(connection: sqlite3.Connection, domain_id: int, user_id: int, changes: Mapping[str, Any]) -> str:
    """Changes the fields given (a loaded OofSchema), None removes one; one transaction. Returns the username.

    Raises NotFoundError, InvalidError (a contact, too).
    """
    user = find_mailbox_or_raise(connection, domain_id, user_id)
    fields = {**oof.find_oof(connection, user_id), **changes}
    _check_times(fields)
    oof.set_oof(connection, user_id, fields)
    return user.username


def _check_times(fields: Mapping[str, Any]) -> None:
    """What was given and what was stored have to make sense together."""
    start, end = fields["startTime"], fields["endTime"]
    if fields["state"] == STATE_SCHEDULED:
        for name in ("startTime", "endTime"):
            if fields[name] is None:
                raise InvalidError.field(name, "Is needed while state is 2 (scheduled).")
    # Texts of the one form sort as the times they name.
    if start is not None and end is not None and end <= start:
        raise InvalidError.field("endTime", f"{end} is not after the start, {start}.")


def is_in_force(state: int, start: str | None, end: str | None, now: datetime, timezone: tzinfo) -> bool:
    """Whether replies are due at `now`, an aware datetime: a schedule counts from `start` and until before `end`.

    Both are local times of `timezone` as the API writes them. One that a daylight-saving change skips is read with the
    offset before the change, and one that it repeats is the first of the two (zoneinfo's fold=0).
    """
    if state != STATE_SCHEDULED:
        return state != STATE_OFF
    if start is None or end is None:
        return False
    # Two datetimes of the same zone would be compared by their clocks, not as instants, hence the way over the epoch.
    first, last = (datetime.fromisoformat(text).replace(tzinfo=timezone) - _EPOCH for text in (start, end))
    return first <= now - _EPOCH < last
