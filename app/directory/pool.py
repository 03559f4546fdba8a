"""The connection pool of one directory: keeps a few connections and chooses among the directory's servers."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from postroom.app.directory.config import DirectoryConfig
from postroom.app.directory.faults import AwayError, FaultError
from postroom.app.directory.notes import CONNECT, REQUEST, Note, note_nothing, noted
from postroom.app.directory.servers import OpenSession, Session
from postroom.schemas.ldap_text import ServerAddress

_T = TypeVar("_T")


class Pool:
    """At most `connections` at a time. `timeout`, `max_idle` and `avoid` are in seconds. When connecting, the servers
    share `timeout` equally. A server that was away comes last in the order for the time of `avoid`.
    """

    def __init__(
        self,
        config: DirectoryConfig,
        context: ssl.SSLContext | None,
        open_session: OpenSession,
        *,
        timeout: float,
        connections: int,
        max_idle: float,
        avoid: float,
        note: Note = note_nothing,
    ) -> None:
        self._config = config
        self._context = context
        self._open_session = open_session
        self._timeout = timeout
        self._max_idle = max_idle
        self._avoid = avoid
        self._note = note
        #: (idle since, connection), the longest idle first; never more than there are slots.
        self._idle: list[tuple[float, Session]] = []
        self._idle_timer: asyncio.TimerHandle | None = None
        self._away_until: dict[str, float] = {}
        self._closed = False
        self._slots = asyncio.Semaphore(connections)

    @asynccontextmanager
    async def slot(self, deadline: float) -> AsyncIterator[None]:
        """Reserves one connection for the block, for take() and open(). run() reserves one itself."""
        async with asyncio.timeout_at(deadline):
            await self._slots.acquire()
        try:
            yield
        finally:
            self._slots.release()

    async def run(self, work: Callable[[Session], Awaitable[_T]], deadline: float) -> _T:
        """The result of the work on a connection. If it dies, retries on a new one, as often as there are servers.

        AwayError, FaultError, RefusedError, TimeoutError past the deadline, and any error of the work.
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

    async def take(self, deadline: float, *, fresh: bool) -> Session:
        """A connection of the bind user, for a lent() block."""
        session = None if fresh else self._reusable()
        return session or await self.open(self._config.bind_user, self._config.bind_password, deadline)

    @asynccontextmanager
    async def lent(self, session: Session) -> AsyncIterator[Session]:
        """Returns the connection to the pool after the block, or closes it on any error and on cancellation."""
        try:
            with noted(self._note, session.server.url, REQUEST):
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
            self._schedule_closing()

    async def close(self) -> None:
        """Closes all idle connections. Work in flight still completes, then its connection closes."""
        self._closed = True
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        idle, self._idle = self._idle, []
        for _, session in idle:
            session.close()

    def _schedule_closing(self) -> None:
        if self._idle and self._idle_timer is None:
            wait = self._idle[0][0] + self._max_idle - time.monotonic()
            self._idle_timer = asyncio.get_running_loop().call_later(max(wait, 0), self._close_idle)

    def _close_idle(self) -> None:
        """Closes connections idle for too long. The pool reuses the latest one first, so others may stay idle."""
        self._idle_timer = None
        limit = time.monotonic() - self._max_idle
        while self._idle and (self._idle[0][0] <= limit or not self._idle[0][1].alive):
            self._idle.pop(0)[1].close()
        self._schedule_closing()

    async def open(self, user: str | None, password: str | None, deadline: float) -> Session:
        """A new connection to the first server that answers. AwayError, FaultError, RefusedError, TimeoutError."""
        if user and not password:
            raise FaultError("the bind user has no password, which would be an anonymous login")
        if "\0" in (user or "") + (password or ""):
            raise FaultError("the bind user or its password holds a NUL character")
        servers = self._ranked()
        # A silent server must leave time for the next one.
        share = self._timeout / len(servers)
        now = asyncio.get_running_loop().time
        reason = AwayError("there is none")
        for server in servers:
            if now() >= deadline:
                # Do not mark this server as away: there was no time to try it.
                raise TimeoutError
            try:
                with noted(self._note, server.url, CONNECT):
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
        """The servers in the order to ask them: as configured, but those recently away come last."""
        now = time.monotonic()
        return sorted(self._config.servers, key=lambda one: self._away_until.get(one.url, 0.0) > now)

    def _reusable(self) -> Session | None:
        # Drop a connection to a later server as soon as an earlier one may be back.
        first = self._ranked()[0]
        while self._idle:
            since, session = self._idle.pop()
            if session.alive and session.server == first and time.monotonic() - since < self._max_idle:
                return session
            session.close()
        return None

    async def _open_one(self, server: ServerAddress, user: str | None, password: str | None) -> Session:
        if server.url in self._away_until:
            # While this attempt runs, other callers avoid the server instead of waiting for it, too.
            self._avoid_for_now(server)
        encrypted = server.tls or self._config.starttls
        return await self._open_session(server, self._context if encrypted else None, user or None, password or None)
