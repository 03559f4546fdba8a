"""Asking the directory: bounded in time, over a few connections, never in the way of other requests."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from postroom.app.directory.config import DirectoryConfig
from postroom.app.directory.mapping import Entry
from postroom.app.directory.object_id import filter_escape
from postroom.app.directory.wire import AwayError
from postroom.app.errors import InvalidError, UnavailableError
from postroom.schemas.ldap import ServerAddress

if TYPE_CHECKING:
    from postroom.app.directory.session import Session

_T = TypeVar("_T")
_ANYTHING = "(objectClass=*)"
_NOTHING = ["1.1"]
#: Seconds during which a server that was away is asked last.
_AVOID = 30.0


class Directory:
    """One configured directory. `timeout` and `max_idle` are in seconds; `timeout` bounds a whole operation.

    `ca_file` is a PEM file of certificates to trust besides the system's; `verify=False` trusts every server.
    InvalidError when the file cannot be read.
    """

    def __init__(
        self,
        config: DirectoryConfig,
        *,
        timeout: float = 5.0,
        ca_file: str | None = None,
        verify: bool = True,
        connections: int = 4,
        max_idle: float = 60.0,
    ) -> None:
        self.config = config
        self._timeout = timeout
        encrypted = config.starttls or any(server.tls for server in config.servers)
        self._context = _tls_context(ca_file, verify=verify) if encrypted or ca_file else None
        self._slots = asyncio.Semaphore(connections)
        self._max_idle = max_idle
        self._idle: list[tuple[float, Session]] = []
        self._away_until: dict[str, float] = {}
        self._attributes = config.attributes()
        self._closed = False

    async def check(self) -> None:
        """Connects, binds and tries base DN and filters.

        InvalidError when the configuration is at fault, UnavailableError when no server can be reached.
        """
        await self._bounded(self._with_session(self._check), fault=InvalidError)

    async def fetch(self, object_id: bytes) -> Entry | None:
        """The user or contact with this object ID, None when there is none.

        It has the attributes that mapping needs. InvalidError when several entries have the ID,
        UnavailableError when the directory cannot be asked.
        """
        return await self._bounded(self._with_session(lambda session: self._find(session, object_id)))

    async def authenticate(self, object_id: bytes, password: str) -> bool:
        """Whether the password is that of the entry with this object ID. UnavailableError when unknown."""
        # An empty password is an anonymous bind, which succeeds; at a NUL the C library ends the password.
        if not password or "\0" in password or not _is_unicode(password):
            return False
        return await self._bounded(self._authenticate(object_id, password))

    async def close(self) -> None:
        """Hangs up. What is under way goes on to its end, but no connection is kept any more."""
        self._closed = True
        idle, self._idle = self._idle, []
        for _, session in idle:
            session.close()

    async def _check(self, session: "Session") -> None:
        await self._check_base(session)
        for text in (self.config.filter, self.config.contact_filter):
            if text is not None:
                await self._search(session, text, base_only=True)

    async def _check_base(self, session: "Session") -> None:
        from postroom.app.directory.session import FaultError

        # A search below a base that is not there finds nothing and is no error to bonsai.
        if not await self._search(session, _ANYTHING, base_only=True):
            raise FaultError(f"the base DN {self.config.base_dn} does not exist or may not be read")

    async def _find(self, session: "Session", object_id: bytes) -> Entry | None:
        from postroom.app.directory.session import TooManyError

        config = self.config
        match = f"({config.object_id}={filter_escape(object_id)})"
        try:
            found = await self._search(session, f"(&{match}{config.filter})")
            if not found and config.contact_filter is not None:
                contacts = await self._search(session, f"(&{match}{config.contact_filter})")
                found = [replace(one, is_contact=True) for one in contacts]
        except TooManyError:
            found = None
        if found is None or len(found) > 1:
            raise InvalidError(f"Several directory entries have the same {config.object_id}")
        if not found:
            # "Not there" makes users orphans, so a base that is gone or hidden must not look the same.
            await self._check_base(session)
            return None
        return _with_raw_id(found[0], config.object_id)

    async def _search(self, session: "Session", text: str, *, base_only: bool = False) -> list[Entry]:
        from postroom.app.directory.session import BASE, SUBTREE

        if base_only:
            return await session.search(self.config.base_dn, BASE, text, _NOTHING, 0)
        return await session.search(self.config.base_dn, SUBTREE, text, self._attributes, 2)

    async def _authenticate(self, object_id: bytes, password: str) -> bool:
        from postroom.app.directory.session import RefusedError

        entry = await self._with_session(lambda session: self._find(session, object_id))
        if entry is None or not entry.dn:
            return False
        async with self._slots:
            try:
                session = await self._open(entry.dn, password)
            except RefusedError:
                return False
            session.close()
            return True

    async def _bounded(
        self, work: Awaitable[_T], *, fault: type[InvalidError | UnavailableError] = UnavailableError
    ) -> _T:
        """The outcome of the work within the time limit, with every failure as an error for people."""
        from postroom.app.directory.session import FaultError, RefusedError, TooManyError

        names = " ".join(server.url for server in self.config.servers)
        try:
            async with asyncio.timeout(self._timeout):
                return await work
        except TimeoutError:
            raise UnavailableError(f"The directory server {names} did not answer within {self._timeout:g} s") from None
        except AwayError as exc:
            raise UnavailableError(f"The directory server {names} cannot be asked: {exc}") from None
        except FaultError as exc:
            raise fault(f"The directory server {names} cannot be used as configured: {exc}") from None
        except RefusedError:
            raise fault(f"The directory server {names} refuses the bind user or its password") from None
        except TooManyError:
            raise fault(f"The directory server {names} has a size limit that is too low") from None

    async def _with_session(self, work: Callable[["Session"], Awaitable[_T]]) -> _T:
        """The outcome of the work on a pooled connection, repeated on a fresh one when that was dead."""
        async with self._slots:
            session = self._reusable()
            if session is not None:
                try:
                    async with self._lent(session):
                        return await work(session)
                except AwayError:
                    pass
            async with self._lent(await self._open(self.config.bind_user, self.config.bind_password)) as session:
                return await work(session)

    def _reusable(self) -> "Session | None":
        while self._idle:
            since, session = self._idle.pop()
            if session.alive and time.monotonic() - since < self._max_idle:
                return session
            session.close()
        return None

    @asynccontextmanager
    async def _lent(self, session: "Session") -> AsyncIterator["Session"]:
        """Puts the connection back afterwards, or closes it on any error and on cancellation."""
        try:
            yield session
        except BaseException:
            session.close()
            raise
        if self._closed:
            session.close()
        else:
            self._idle.append((time.monotonic(), session))

    async def _open(self, user: str | None, password: str | None) -> "Session":
        """A connection to the first server that is there; those that were away lately are tried last."""
        from postroom.app.directory.session import FaultError

        if user and not password:
            raise FaultError("the bind user has no password, which would be an anonymous login")
        if "\0" in (user or "") + (password or ""):
            raise FaultError("the bind user or its password holds a NUL character")
        now = time.monotonic()
        servers = sorted(self.config.servers, key=lambda one: self._away_until.get(one.url, 0.0) > now)
        reason = AwayError("there is none")
        for server in servers:
            try:
                # The share of each server, so that a silent one leaves time for the next.
                async with asyncio.timeout(self._timeout / len(servers)):
                    return await self._open_one(server, user, password)
            except AwayError as exc:
                reason = exc
            except TimeoutError:
                reason = AwayError(f"it did not answer within {self._timeout / len(servers):g} s")
            self._away_until[server.url] = time.monotonic() + _AVOID
        raise reason

    async def _open_one(self, server: ServerAddress, user: str | None, password: str | None) -> "Session":
        from postroom.app.directory.session import Session

        encrypted = server.tls or self.config.starttls
        return await Session.open(
            server, self._context if encrypted else None, user or None, password or None, self._attributes
        )


def _tls_context(ca_file: str | None, *, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError):
            raise InvalidError(f"The certificates in {ca_file} cannot be read") from None
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _with_raw_id(entry: Entry, object_id: str) -> Entry:
    """The entry with its object ID as bytes, even when they happen to be text."""
    attributes = {
        name: [value.encode() if isinstance(value, str) else value for value in values]
        if name.lower() == object_id.lower()
        else values
        for name, values in entry.attributes.items()
    }
    return replace(entry, attributes=attributes)
