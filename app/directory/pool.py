"""A few connections to the servers of one directory, in their order: which is there, which is asked first."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from postroom.app.directory.config import DirectoryConfig
from postroom.app.directory.faults import AwayError, FaultError
from postroom.schemas.ldap_text import ServerAddress

if TYPE_CHECKING:
    from postroom.app.directory.session import Session

_T = TypeVar("_T")


class Pool:
    """At most `connections` at a time. `timeout`, `max_idle` and `avoid` are in seconds: the share of each server when
    connecting is its part of `timeout`, and a server that was away is asked last for the time of `avoid`.
    """

    def __init__(
        self,
        config: DirectoryConfig,
        context: ssl.SSLContext | None,
        *,
        timeout: float,
        connections: int,
        max_idle: float,
        avoid: float,
    ) -> None:
        self._config = config
        self._context = context
        self._timeout = timeout
        self._max_idle = max_idle
        self._avoid = avoid
        #: (since when, connection), the longest idle first; never more than there are slots.
        self._idle: list[tuple[float, Session]] = []
        self._hanging_up: asyncio.TimerHandle | None = None
        self._away_until: dict[str, float] = {}
        self._closed = False
        self._slots = asyncio.Semaphore(connections)

    @asynccontextmanager
    async def slot(self, deadline: float) -> AsyncIterator[None]:
        """The right to one connection inside the block, for take() and open(); run() sees to it itself."""
        async with asyncio.timeout_at(deadline):
            await self._slots.acquire()
        try:
            yield
        finally:
            self._slots.release()

    async def run(self, work: "Callable[[Session], Awaitable[_T]]", deadline: float) -> _T:
        """The outcome of the work on a connection, repeated on a fresh one when it dies, of each server once.

        AwayError, FaultError, RefusedError, TimeoutError past the deadline, and whatever the work raises.
        """
        async with self.slot(deadline):
            session = self._reusable()
            tries = len(self._config.servers) + (session is not None)
            while True:
                session = session or await self.take(deadline, fresh=True)
                tries -= 1
                try:
                    async with self.lent(session), asyncio.timeout_at(deadline):
                        return await work(session)
                except AwayError:
                    if not tries:
                        raise
                session = None

    async def take(self, deadline: float, *, fresh: bool) -> "Session":
        """A connection of the bind user, for a lent() block."""
        session = None if fresh else self._reusable()
        return session or await self.open(self._config.bind_user, self._config.bind_password, deadline)

    @asynccontextmanager
    async def lent(self, session: "Session") -> "AsyncIterator[Session]":
        """Keeps the connection for the next afterwards, or closes it on any error and on cancellation."""
        try:
            yield session
        except BaseException as exc:
            session.close()
            if isinstance(exc, AwayError | TimeoutError):
                self._avoid_for_now(session.server)
            raise
        if self._closed:
            session.close()
        else:
            self._idle.append((time.monotonic(), session))
            self._hang_up_later()

    async def close(self) -> None:
        """Hangs up. What is under way goes on to its end, but no connection is kept any more."""
        self._closed = True
        if self._hanging_up is not None:
            self._hanging_up.cancel()
        idle, self._idle = self._idle, []
        for _, session in idle:
            session.close()

    def _hang_up_later(self) -> None:
        if self._idle and self._hanging_up is None:
            wait = self._idle[0][0] + self._max_idle - time.monotonic()
            self._hanging_up = asyncio.get_running_loop().call_later(max(wait, 0), self._hang_up)

    def _hang_up(self) -> None:
        """Closes what nobody has needed for a while. The last one used is taken first: others might wait for ever."""
        self._hanging_up = None
        limit = time.monotonic() - self._max_idle
        while self._idle and (self._idle[0][0] <= limit or not self._idle[0][1].alive):
            self._idle.pop(0)[1].close()
        self._hang_up_later()

    async def open(self, user: str | None, password: str | None, deadline: float) -> "Session":
        """A fresh connection to the first server that is there. AwayError, FaultError, RefusedError, TimeoutError."""
        if user and not password:
            raise FaultError("the bind user has no password, which would be an anonymous login")
        if "\0" in (user or "") + (password or ""):
            raise FaultError("the bind user or its password holds a NUL character")
        servers = self._ranked()
        # So that a silent server leaves time for the next.
        share = self._timeout / len(servers)
        now = asyncio.get_running_loop().time
        reason = AwayError("there is none")
        for server in servers:
            if now() >= deadline:
                # Nothing is known about a server for which there was no time.
                raise TimeoutError
            try:
                async with asyncio.timeout_at(min(deadline, now() + share)):
                    session = await self._open_one(server, user, password)
            except AwayError as exc:
                reason = exc
            except TimeoutError:
                reason = AwayError(f"it did not answer within {share:g} s")
            else:
                self._away_until.pop(server.url, None)
                return session
            self._avoid_for_now(server)
        raise reason

    def _avoid_for_now(self, server: ServerAddress) -> None:
        self._away_until[server.url] = time.monotonic() + self._avoid

    def _ranked(self) -> list[ServerAddress]:
        """The servers in the order in which to ask: as configured, but those that were away lately last."""
        now = time.monotonic()
        return sorted(self._config.servers, key=lambda one: self._away_until.get(one.url, 0.0) > now)

    def _reusable(self) -> "Session | None":
        # A connection to a later server is given up as soon as an earlier one may be there again.
        first = self._ranked()[0]
        while self._idle:
            since, session = self._idle.pop()
            if session.alive and session.server == first and time.monotonic() - since < self._max_idle:
                return session
            session.close()
        return None

    async def _open_one(self, server: ServerAddress, user: str | None, password: str | None) -> "Session":
        from postroom.app.directory.session import Session

        if server.url in self._away_until:
            # Whoever comes while this one tries need not wait for the same server.
            self._avoid_for_now(server)
        encrypted = server.tls or self._config.starttls
        return await Session.open(server, self._context if encrypted else None, user or None, password or None)
