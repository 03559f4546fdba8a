"""When tokens and sessions were last used: noted in memory, stored now and then, so that no request writes for it."""

from postroom.app.clock import Clock
from postroom.storage import api_tokens, sessions
from postroom.storage.database import Database
from postroom.storage.engine import Connection

#: Most tokens, and most sessions, that are noted between two times of storing. Of more, some uses are not noted.
_MOST = 10_000
#: Rows that are written together.
_BATCH = 500


class Uses:
    """The first use of each token and session since `store` was last called. It is within a minute of the last one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        #: Token ID -> (UNIX time, source), and session ID -> UNIX time.
        self._tokens: dict[int, tuple[int, str]] = {}
        self._sessions: dict[str, int] = {}

    def is_token_due(self, token_id: int) -> bool:
        """Whether the use of a token is to be noted."""
        return token_id not in self._tokens

    def note_token(self, token_id: int, source: str) -> None:
        """Notes that a token was used now, from this address."""
        if len(self._tokens) < _MOST:
            self._tokens[token_id] = (self._clock.unix(), source)

    def note_session(self, session_id: str) -> None:
        """Notes that a session was used now."""
        if session_id not in self._sessions and len(self._sessions) < _MOST:
            self._sessions[session_id] = self._clock.unix()

    async def store(self, database: Database) -> None:
        """Stores what was noted. Raises DatabaseError; what was not stored then stays noted."""
        while self._tokens or self._sessions:
            tokens = list(self._tokens.items())[:_BATCH]
            logins = list(self._sessions.items())[:_BATCH]
            await database.write(_store, [(each, *use) for each, use in tokens], logins)
            for token_id, _ in tokens:
                self._tokens.pop(token_id, None)
            for session_id, _ in logins:
                self._sessions.pop(session_id, None)


def _store(connection: Connection, tokens: list[tuple[int, int, str]], logins: list[tuple[str, int]]) -> None:
    if tokens:
        api_tokens.update_last_uses(connection, tokens)
    if logins:
        sessions.update_last_uses(connection, logins)
