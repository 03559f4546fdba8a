"""The owner of the machine, who asks the API by a command in whose process the application runs."""

import hmac
from dataclasses import dataclass

from postroom.app.auth import permissions
from postroom.app.auth.tokens import ADMIN_ID, Caller, Tokens
from postroom.app.clock import Clock
from postroom.storage.audit.record import Author
from postroom.storage.database import Database
from postroom.storage.engine import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator(Caller):
    """May do whatever the built-in administrator may, and needs no password of theirs: who may open the database can
    change it anyway. `author` is the command, for the record of changes.
    """

    author: Author


class OperatorTokens(Tokens):
    """Also knows one token that is stored nowhere and ends with the process: that of the command."""

    def __init__(self, own: str, author: Author, database: Database, key: str, lifetime: int, clock: Clock) -> None:
        super().__init__(database, key, lifetime, clock)
        self._own = own.encode()
        self._operator = Operator(ADMIN_ID, author.actor, permissions.ADMINISTRATOR, author=author)

    async def caller(self, token: str) -> Caller:
        """The operator, or whoever else has the token. Raises UnauthenticatedError."""
        return self._operator if self._is_own(token) else await super().caller(token)

    def caller_inside(self, connection: Connection, token: str) -> Caller:
        """The same as a transaction sees it."""
        return self._operator if self._is_own(token) else super().caller_inside(connection, token)

    def _is_own(self, token: str) -> bool:
        return hmac.compare_digest(token.encode("utf-8", "replace"), self._own)
