"""What the client needs of a directory server: bound connections to it."""

import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from typing import Protocol

from postroom.app.directory.mapping import Entry
from postroom.schemas.ldap_text import ServerAddress


class Session(Protocol):
    """A bound connection. One task at a time; after any error but TooManyError it must be closed.

    A search below a base that does not exist finds nothing.
    """

    server: ServerAddress

    @property
    def alive(self) -> bool:
        """False as soon as the server has hung up."""

    async def exists(self, base: str, filter_text: str) -> bool:
        """Whether the base can be read and matches the filter. AwayError, FaultError."""

    async def search(
        self, base: str, filter_text: str, attributes: Collection[str], limit: int, *, cut: bool = False
    ) -> list[Entry]:
        """The entries below the base, with these attributes as far as they exist. A limit of 0 means the server's own.

        Beyond the limit: with `cut` returns the received entries, otherwise TooManyError. AwayError, FaultError.
        """

    def pages(
        self, base: str, filter_text: str, attributes: Collection[str], size: int
    ) -> AsyncGenerator[list[Entry], None]:
        """The entries below the base, page by page (RFC 2696). AwayError, FaultError, TooManyError."""

    async def names(self, base: str, filter_text: str, attributes: Collection[str], limit: int) -> set[str]:
        """The names of these attributes that occur in entries below the base. AwayError, FaultError, TooManyError."""

    def close(self) -> None:
        """Closes the connection at once."""


#: Connects to a server and binds; anonymously if there is no user. With a context the connection is encrypted.
#: AwayError, FaultError, RefusedError.
OpenSession = Callable[[ServerAddress, ssl.SSLContext | None, str | None, str | None], Awaitable[Session]]


async def open_session(
    server: ServerAddress, context: ssl.SSLContext | None, user: str | None, password: str | None
) -> Session:
    """Connects over the network."""
    # bonsai is slow to import, and most stores have no directory.
    from postroom.app.directory.session import NetworkSession

    return await NetworkSession.open(server, context, user, password)
