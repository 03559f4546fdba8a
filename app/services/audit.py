"""Keeps the record of changes for as long as it is to be kept."""

import asyncio
import logging
from typing import Final

from postroom.app.services.context import Context
from postroom.storage.audit.retention import delete_older, find_older

log = logging.getLogger("postroom.audit")

#: Seconds between two looks for old rows, and between two pieces of them.
LOOK_AGAIN: Final = 60.0
_PAUSE: Final = 0.05
_DAY: Final = 86_400_000_000  # microseconds


async def forget_old_changes(context: Context) -> None:
    """Goes on until it is cancelled."""
    while context.config.audit_days:
        is_more = False
        try:
            first_kept = oldest(context.clock.now(), context.config.audit_days)
            is_more = await context.database.look_up_by(find_older, first_kept) is not None
            if is_more:
                await context.database.write(delete_older, first_kept)
        except Exception as error:  # noqa: BLE001 - the next time may work
            log.warning("Old rows of the audit could not be deleted: %s", error)
        await asyncio.sleep(_PAUSE if is_more else LOOK_AGAIN)


def oldest(now: float, days: int) -> int:
    """The ID of the oldest row that is kept at a UNIX time."""
    return int(now * 1_000_000) - days * _DAY
