"""Keeps the record of changes for as long as it is to be kept."""

from typing import Final

from postroom.app.services.context import Context
from postroom.storage.audit.retention import delete_older, find_older

#: Seconds between two looks for old rows.
LOOK_AGAIN: Final = 60.0
_DAY: Final = 86_400_000_000  # microseconds


async def forget_old_changes(context: Context) -> bool:
    """Deletes a piece of what is older than it is to be kept; returns whether there may be more."""
    if not context.config.audit_days:
        return False
    first_kept = oldest(context.clock.now(), context.config.audit_days)
    is_more = await context.database.look_up_by(find_older, first_kept) is not None
    if is_more:
        await context.database.write(delete_older, first_kept)
    return is_more


def oldest(now: float, days: int) -> int:
    """The ID of the oldest row that is kept at a UNIX time."""
    return int(now * 1_000_000) - days * _DAY
