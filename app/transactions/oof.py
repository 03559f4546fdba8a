"""The rules of out-of-office settings, and whether they are in force."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from postroom.app.errors import InvalidError
from postroom.app.transactions.lookups import find_mailbox_or_raise
from postroom.app.transactions.versions import Expected, check_match
from postroom.schemas.oof import STATE_OFF, STATE_SCHEDULED
from postroom.storage import oof
from postroom.storage.engine import Connection

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def change_oof(
    connection: Connection,
    domain_id: int,
    user_id: int,
    changes: Mapping[str, Any],
    timezone: tzinfo,
    allowed: Expected = None,
) -> tuple[str, bytes]:
    """Changes the fields given (a loaded OofSchema); None removes one. One transaction. Returns the username, and the
    document.

    Raises NotFoundError, InvalidError (also for a contact), PreconditionFailedError.
    """
    user = find_mailbox_or_raise(connection, domain_id, user_id)
    check_match(allowed, oof.read_oof(connection, user_id))
    stored = oof.find_oof(connection, user_id)
    fields = {**stored, **changes}
    _check_times(stored, fields, timezone)
    oof.set_oof(connection, user_id, fields)
    return user.username, oof.read_oof(connection, user_id)


def _check_times(stored: Mapping[str, Any], fields: Mapping[str, Any], timezone: tzinfo) -> None:
    """Checks the given times together with the stored ones."""
    start, end = fields["startTime"], fields["endTime"]
    scheduled = fields["state"] == STATE_SCHEDULED
    if scheduled:
        for name in ("startTime", "endTime"):
            if fields[name] is None:
                raise InvalidError.field(name, "Is needed while state is 2 (scheduled).")
    # Check only a changed schedule: in another time zone than it was stored in, an old one may be invalid. It must not
    # block a new subject, or switching it off.
    new = (start, end) != (stored["startTime"], stored["endTime"]) or (scheduled and stored["state"] != STATE_SCHEDULED)
    if new and start is not None and end is not None:
        first, last = instants_between(start, end, timezone)
        if last <= first:
            raise InvalidError.field("endTime", f"{end} is not after the start, {start}, in the time zone {timezone}.")


def is_in_force(state: int, start: str | None, end: str | None, now: datetime, timezone: tzinfo) -> bool:
    """Whether replies are due at `now`, an aware datetime. A schedule includes `start` and excludes `end`."""
    if state != STATE_SCHEDULED:
        return state != STATE_OFF
    if start is None or end is None:
        return False
    first, last = instants_between(start, end, timezone)
    return first <= now - _EPOCH < last


def instants_between(start: str, end: str, timezone: tzinfo) -> tuple[timedelta, timedelta]:
    """The instants of two local times in the format of the API, as durations since the epoch.

    When the clock goes back, a time occurs twice: a schedule begins at the first and ends at the second occurrence.
    When it goes forward, a skipped time is read with the offset from before the change. So the texts alone do not tell
    the order.
    """
    return _instants(start, timezone)[0], max(_instants(end, timezone))


def _instants(text: str, timezone: tzinfo) -> tuple[timedelta, timedelta]:
    # For a skipped time, zoneinfo's fold=0 is the later instant of the two. Python compares two datetimes of the same
    # zone by their wall clocks, so convert them to durations since the epoch first.
    local = datetime.fromisoformat(text).replace(tzinfo=timezone)
    return local - _EPOCH, local.replace(fold=1) - _EPOCH
