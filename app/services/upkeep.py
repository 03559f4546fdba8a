"""What the service does now and then about tokens and sessions."""

import time
from typing import Final

from postroom.app.services.context import Context
from postroom.storage import api_tokens, sessions

#: Seconds between two times of storing when tokens and sessions were used, and between two times of clearing away.
STORED_EVERY: Final = 60.0
_CLEARED_EVERY: Final = 3600.0
#: Seconds for which an expired token is still shown.
_SHOWN: Final = 30 * 24 * 3600
#: Sessions that are cleared away in one transaction.
_BATCH: Final = 1000


class Upkeep:
    """Call `run` again and again; it does something only when that is due."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._stored = self._cleared = time.monotonic()

    async def run(self) -> None:
        """Stores uses once a minute, and clears away what has expired once an hour. Raises DatabaseError."""
        now = time.monotonic()
        if now - self._stored >= STORED_EVERY:
            self._stored = now
            await self._context.tokens.uses.store(self._context.database)
        if now - self._cleared >= _CLEARED_EVERY:
            self._cleared = now
            await self.clear()

    async def clear(self) -> None:
        """Forgets sessions that have expired, and tokens that expired a month ago."""
        now, database = self._context.clock.unix(), self._context.database
        await database.write(api_tokens.delete_expired_tokens, now - _SHOWN)
        while await database.write(sessions.delete_expired_sessions, now, _BATCH) == _BATCH:
            pass
