"""A directory that is away for chosen requests, while others can ask it."""

import ssl
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing
from contextvars import ContextVar
from typing import Final

from postroom.app.directory.faults import AwayError
from postroom.app.directory.mapping import Entry
from postroom.app.directory.servers import OpenSession, Session
from postroom.schemas.ldap_text import ServerAddress

#: Tells whether the directory is away for the request that is being done, and for the tasks that it begins.
IS_AWAY: Final[ContextVar[Callable[[], bool] | None]] = ContextVar("is_away", default=None)


def with_outages(open_session: OpenSession) -> OpenSession:
    """The same connections, which fail where the directory is away."""

    async def opened(
        server: ServerAddress, context: ssl.SSLContext | None, user: str | None, password: str | None
    ) -> Session:
        _check("it refuses connections")
        return _Session(await open_session(server, context, user, password))

    return opened


def _check(reason: str) -> None:
    is_away = IS_AWAY.get()
    if is_away is not None and is_away():
        raise AwayError(reason)


class _Session:
    """A connection that others may go on with; see Session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.server = session.server

    @property
    def alive(self) -> bool:
        """False as soon as the server has hung up."""
        return self._session.alive

    async def exists(self, base: str, filter_text: str) -> bool:
        """Whether the base can be read and matches the filter."""
        _check(_CLOSED)
        return await self._session.exists(base, filter_text)

    async def search(
        self, base: str, filter_text: str, attributes: Collection[str], limit: int, *, cut: bool = False
    ) -> list[Entry]:
        """The entries below the base."""
        _check(_CLOSED)
        return await self._session.search(base, filter_text, attributes, limit, cut=cut)

    async def pages(
        self, base: str, filter_text: str, attributes: Collection[str], size: int
    ) -> AsyncGenerator[list[Entry], None]:
        """The entries below the base, page by page."""
        _check(_CLOSED)
        async with aclosing(self._session.pages(base, filter_text, attributes, size)) as pages:
            async for page in pages:
                yield page

    async def names(self, base: str, filter_text: str, attributes: Collection[str], limit: int) -> set[str]:
        """The names of these attributes that occur in entries below the base."""
        _check(_CLOSED)
        return await self._session.names(base, filter_text, attributes, limit)

    def close(self) -> None:
        """Closes the connection at once."""
        self._session.close()


_CLOSED: Final = "it closed the connection"
