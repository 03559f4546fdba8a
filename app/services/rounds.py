"""Work that the service does again and again: one loop for all of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from postroom.app.limits.sparing import Sparing
from postroom.storage.faults import LostDatabaseError, is_unavailable

log = logging.getLogger("postroom")

#: Seconds until the next round of work that has more to do.
_PAUSE: Final = 0.05

#: Gets the name of a job, and how a round of it has ended: ok, unavailable or failed.
Count = Callable[[str, str], object]


def uncounted(_job: str, _outcome: str) -> None:
    """For rounds that nobody counts."""


async def keep_doing(
    job: str, every: float, work: Callable[[], Awaitable[bool | None]], count: Count, *, at_once: bool = True
) -> NoReturn:
    """Does the work every so many seconds until it is cancelled, whatever a round of it raises; sooner while it returns
    that there is more to do. Unless `at_once`, the first round is after that time, too.

    Each kind of failure is logged once a minute, with a traceback when it is none of the database or the disk.
    """
    sparing = Sparing()
    if not at_once:
        await asyncio.sleep(every)
    while True:
        more: bool | None = False
        outcome = "ok"
        try:
            more = await work()
        except LostDatabaseError:
            outcome = "unavailable"  # already logged
        except Exception as error:
            expected = is_unavailable(error) or isinstance(error, OSError)
            outcome = "unavailable" if expected else "failed"
            if sparing.due(type(error)) is not None:
                log.warning(
                    "What is done again and again has failed (%s): %s", job, error, exc_info=None if expected else error
                )
        count(job, outcome)
        await asyncio.sleep(_PAUSE if more else every)
