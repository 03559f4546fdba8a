"""Asking the directory: bounded in time, over a few connections, never in the way of other requests."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterator
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, TypeVar

from postroom.app.directory.config import DirectoryConfig
from postroom.app.directory.faults import AwayError, FaultError, RefusedError, TooManyError
from postroom.app.directory.mapping import Entry
from postroom.app.directory.pool import Pool
from postroom.app.directory.questions import Questions
from postroom.app.errors import InvalidError, MisconfiguredError, UnavailableError

if TYPE_CHECKING:
    from postroom.app.directory.session import Session

_T = TypeVar("_T")
#: How many object IDs one filter asks for.
_CHUNK = 100


class Directory:
    """One configured directory. `timeout`, `max_idle` and `avoid` are in seconds; `timeout` bounds a whole operation,
    `avoid` is for how long a server that was away is asked last.

    `ca_file` is a PEM file of certificates to trust besides the system's; `verify=False` trusts every server.
    InvalidError when the file cannot be read. Whatever is asked raises UnavailableError, naming the servers and the
    reason, when the directory cannot be asked: MisconfiguredError when the fault is in the configuration.
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
        avoid: float = 30.0,
    ) -> None:
        self.config = config
        self._timeout = timeout
        encrypted = config.starttls or any(server.tls for server in config.servers)
        context = _tls_context(ca_file, verify=verify) if encrypted or ca_file else None
        self._pool = Pool(config, context, timeout=timeout, connections=connections, max_idle=max_idle, avoid=avoid)
        self._questions = Questions(config)

    async def check(self) -> None:
        """Connects, binds and tries base DN and filters. InvalidError when the configuration is at fault."""
        await self._asked(self._questions.check, fault=InvalidError)

    async def fetch(self, object_id: bytes) -> Entry | None:
        """The user or contact with this object ID, None when there is none.

        It has the attributes that mapping needs. InvalidError when several entries have the ID.
        """
        return await self._asked(lambda session: self._questions.find(session, object_id))

    async def search(self, term: str, limit: int) -> list[Entry]:
        """At most `limit` users, then contacts, in which one of the search attributes contains the term.

        They have the attributes that mapping needs. When the server gives out fewer, those; an empty term finds all
        that have such an attribute. InvalidError when the term is no text.
        """
        if not _is_unicode(term):
            raise InvalidError("The search term holds a character that is not valid Unicode")
        # No name holds a NUL, but OpenLDAP ignores it in a filter and would find everybody.
        if limit <= 0 or "\0" in term:
            return []
        return await self._asked(lambda session: self._questions.search(session, term, limit))

    async def pages(self, size: int = 100) -> AsyncGenerator[list[Entry], None]:
        """All users, then all contacts, up to `size` at a time, with the attributes that mapping needs.

        Every page has the whole timeout. Until its end or aclose() the listing holds a connection. When that dies, the
        listing begins again, once: entries may be seen twice. A listing that comes to its end is complete:
        UnavailableError also when the server gives out only part of its entries. An entry that both filters find
        comes as a user; with a contact filter the DNs of the users are remembered for that.
        """
        deadline = self._deadline()
        with self._explained():
            async with self._pool.slot(deadline):
                for again in (False, True):
                    session = await self._pool.take(deadline, fresh=again)
                    try:
                        # Closes the connection of an unfinished listing: the next answer on it would be another page.
                        async with self._pool.lent(session), aclosing(self._questions.pages(session, size)) as pages:
                            while page := await _next(pages, deadline):
                                yield page
                                deadline = self._deadline()
                        break
                    except AwayError:
                        if again:
                            raise

    async def existing(self, object_ids: Collection[bytes]) -> set[bytes]:
        """Those of the object IDs that any entry below the base DN has, whether or not the filters find it.

        Each hundred of them has the whole timeout.
        """
        asked = list(dict.fromkeys(object_ids))
        there: set[bytes] = set()
        for start in range(0, len(asked), _CHUNK):
            there |= await self._existing(asked[start : start + _CHUNK])
        if asked and not there:
            await self._asked(self._questions.check_base)
        return there

    async def dump(self, object_id: bytes) -> Entry | None:
        """The entry with this object ID, whether or not the filters find it, None when there is none.

        It has all its attributes but passwords and what the server keeps for itself. InvalidError when several entries
        have the ID.
        """
        return await self._asked(lambda session: self._questions.dump(session, object_id))

    async def authenticate(self, object_id: bytes, password: str) -> bool:
        """Whether the password is that of the user or contact with this object ID."""
        # An empty password is an anonymous bind, which succeeds; at a NUL the C library ends the password.
        if not password or "\0" in password or not _is_unicode(password):
            return False
        deadline = self._deadline()
        with self._explained():
            entry = await self._pool.run(lambda session: self._questions.find(session, object_id), deadline)
            if entry is None or not entry.dn:
                return False
            async with self._pool.slot(deadline):
                try:
                    session = await self._pool.open(entry.dn, password, deadline)
                except RefusedError:
                    return False
                session.close()
                return True

    async def close(self) -> None:
        """Hangs up. What is under way goes on to its end, but no connection is kept any more."""
        await self._pool.close()

    async def _existing(self, object_ids: list[bytes]) -> set[bytes]:
        return await self._asked(lambda session: self._questions.existing(session, object_ids))

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._timeout

    async def _asked(
        self,
        question: "Callable[[Session], Awaitable[_T]]",
        *,
        fault: type[InvalidError | MisconfiguredError] = MisconfiguredError,
    ) -> _T:
        with self._explained(fault):
            return await self._pool.run(question, self._deadline())

    @contextmanager
    def _explained(self, fault: type[InvalidError | MisconfiguredError] = MisconfiguredError) -> Iterator[None]:
        """Every failure as an error for people."""
        names = " ".join(server.url for server in self.config.servers)
        try:
            yield
        except TimeoutError:
            raise UnavailableError(f"The directory server {names} did not answer within {self._timeout:g} s") from None
        except AwayError as exc:
            raise UnavailableError(f"The directory server {names} cannot be asked: {exc}") from None
        except FaultError as exc:
            raise fault(f"The directory server {names} cannot be used as configured: {exc}") from None
        except RefusedError:
            raise fault(f"The directory server {names} refuses the bind user or its password") from None
        except TooManyError:
            raise fault(
                f"The directory server {names} gives out only part of its entries: "
                "the size limit of the bind user has to be raised"
            ) from None


async def _next(pages: AsyncGenerator[list[Entry], None], deadline: float) -> list[Entry] | None:
    async with asyncio.timeout_at(deadline):
        return await anext(pages, None)


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
