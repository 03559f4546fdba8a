"""A few connections to the servers of one directory, in their order: which is there, which is asked first."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from postroom.app.directory.config import DirectoryConfig
from postroom.app.directory.faults import AwayError, FaultError
from postroom.schemas.ldap import ServerAddress

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
        self._idle: list[tuple[float, Session]] = []
        self._away_until: dict[str, float] = {}
        self._closed = False
        #: Whoever uses take() or open() holds one of these meanwhile; run() does so itself.
        self.slots = asyncio.Semaphore(connections)

    async def run(self, work: "Callable[[Session], Awaitable[_T]]") -> _T:
        """The outcome of the work on a connection, repeated on a fresh one when a kept one was dead.

        AwayError, FaultError, RefusedError, and whatever the work raises.
        """
        async with self.slots:
            session = self._reusable()
            if session is not None:
                try:
                    async with self.lent(session):
                        return await work(session)
                except AwayError:
                    pass
            async with self.lent(await self.take(fresh=True)) as session:
                return await work(session)

    async def take(self, *, fresh: bool) -> "Session":
        """A connection of the bind user: to be given back, or closed on any error."""
        session = None if fresh else self._reusable()
        return session or await self.open(self._config.bind_user, self._config.bind_password)

    def give_back(self, session: "Session") -> None:
        """Keeps a connection, with which nothing is under way, for the next."""
        if self._closed:
            session.close()
        else:
            self._idle.append((time.monotonic(), session))

    async def close(self) -> None:
        """Hangs up. What is under way goes on to its end, but no connection is kept any more."""
        self._closed = True
        idle, self._idle = self._idle, []
        for _, session in idle:
            session.close()

    async def open(self, user: str | None, password: str | None) -> "Session":
        """A fresh connection to the first server that is there. AwayError, FaultError, RefusedError."""
        if user and not password:
            raise FaultError("the bind user has no password, which would be an anonymous login")
        if "\0" in (user or "") + (password or ""):
            raise FaultError("the bind user or its password holds a NUL character")
        servers = self._ranked()
        share = self._timeout / len(servers)
        reason = AwayError("there is none")
        for server in servers:
            try:
                # So that a silent server leaves time for the next.
                async with asyncio.timeout(share):
                    session = await self._open_one(server, user, password)
            except AwayError as exc:
                reason = exc
            except TimeoutError:
                reason = AwayError(f"it did not answer within {share:g} s")
            else:
                self._away_until.pop(server.url, None)
                return session
            self._away_until[server.url] = time.monotonic() + self._avoid
        raise reason

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

    @asynccontextmanager
    async def lent(self, session: "Session") -> "AsyncIterator[Session]":
        """Puts the connection back afterwards, or closes it on any error and on cancellation."""
        try:
            yield session
        except BaseException:
            session.close()
            raise
        self.give_back(session)

    async def _open_one(self, server: ServerAddress, user: str | None, password: str | None) -> "Session":
        from postroom.app.directory.session import Session

        if server.url in self._away_until:
            # Whoever comes while this one tries need not wait for the same server.
            self._away_until[server.url] = time.monotonic() + self._avoid
        encrypted = server.tls or self._config.starttls
        return await Session.open(server, self._context if encrypted else None, user or None, password or None)
