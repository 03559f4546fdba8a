"""What the service does now and then about tokens and sessions."""

from typing import Final

from postroom.app.services.context import Context
from postroom.storage import api_tokens, sessions

#: Seconds between two times of storing when tokens and sessions were used, and between two times of clearing away.
STORED_EVERY: Final = 60.0
CLEARED_EVERY: Final = 3600.0
#: Seconds for which an expired token is still shown.
_SHOWN: Final = 30 * 24 * 3600
#: Sessions that are cleared away in one transaction.
_BATCH: Final = 1000


async def store_uses(context: Context) -> None:
    """Stores when tokens and sessions were last used."""
    await context.tokens.uses.store(context.database)


async def clear_expired(context: Context) -> bool:
    """Forgets sessions that have expired, and tokens that expired a month ago; returns whether there may be more."""
    now, database = context.clock.unix(), context.database
    await database.write(api_tokens.delete_expired_tokens, now - _SHOWN)
    return await database.write(sessions.delete_expired_sessions, now, _BATCH) == _BATCH
