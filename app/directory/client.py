"""Asking the directory: bounded in time, over a few connections, never in the way of other requests."""

import asyncio
import ssl
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Hashable, Iterator
from contextlib import AsyncExitStack, aclosing, contextmanager
from typing import TYPE_CHECKING, TypeVar

from postroom.app.directory.config import DirectoryConfig
from postroom.app.directory.faults import AwayError, FaultError, RefusedError, TooManyError
from postroom.app.directory.mapping import Entry
from postroom.app.directory.pool import Pool
from postroom.app.directory.questions import Questions
from postroom.app.errors import InvalidError, MisconfiguredError, UnavailableError, too_many_logins
from postroom.app.limits.turns import Turns
from postroom.storage.lanes import ASKER

if TYPE_CHECKING:
    from postroom.app.directory.session import Session

_T = TypeVar("_T")
#: Most logins that wait for the directory, in all and of one source.
_MOST_LOGINS, _MOST_LOGINS_EACH = 256, 64
#: Most other questions that wait, in all and of one caller.
_MOST_QUESTIONS, _MOST_QUESTIONS_EACH = 1024, 100
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
        #: For who logs in: one connection less than there are, so that an update gets one, too.
        self._logins = Turns(max(connections - 1, 1), too_many_logins, most=_MOST_LOGINS, most_each=_MOST_LOGINS_EACH)
        #: For what callers ask besides: two less, so that no caller's searches are in the way of logins.
        self._callers = Turns(
            max(connections - 2, 1), _too_many_questions, most=_MOST_QUESTIONS, most_each=_MOST_QUESTIONS_EACH
        )

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

    async def authenticate(self, object_id: bytes | None, password: str, source: Hashable = None) -> bool:
        """Whether the password is that of the user or contact with this object ID.

        With None, and with a password that cannot be one, the answer is no, and the directory is asked as much: nobody
        is told by time, or by a directory that is away, who has an object. It never sees the password then. Sources
        have their turns one after the other; ThrottledError when too many wait.
        """
        if not _can_be_password(password):
            object_id = None
        async with self._logins.turn(source):
            return await self._authenticate(object_id, password)

    async def close(self) -> None:
        """Hangs up. What is under way goes on to its end, but no connection is kept any more."""
        await self._pool.close()

    async def _authenticate(self, object_id: bytes | None, password: str) -> bool:
        deadline = self._deadline()
        with self._explained():
            asked = object_id or _nobody()
            entry = await self._pool.run(lambda session: self._questions.find(session, asked), deadline)
            if object_id is None or entry is None or not entry.dn:
                await self._bind(f"cn={_nobody().decode()},{self.config.base_dn}", _nobody().decode(), deadline)
                return False
            return await self._bind(entry.dn, password, deadline)

    async def _bind(self, dn: str, password: str, deadline: float) -> bool:
        async with self._pool.slot(deadline):
            try:
                session = await self._pool.open(dn, password, deadline)
            except RefusedError:
                return False
            session.close()
            return True

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
        deadline = self._deadline()
        with self._explained(fault):
            async with AsyncExitStack() as stack:
                # Callers have their turns one after the other; waiting for one counts.
                async with asyncio.timeout_at(deadline):
                    await stack.enter_async_context(self._callers.turn(ASKER.get()))
                return await self._pool.run(question, deadline)

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


def _too_many_questions() -> UnavailableError:
    return UnavailableError("Too much is asked of the directory at the same time; try again later")


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


def _can_be_password(text: str) -> bool:
    # An empty password is an anonymous bind, which succeeds; at a NUL the C library ends the password.
    return bool(text) and "\0" not in text and _is_unicode(text)


def _nobody() -> bytes:
    """What no entry has, as an object ID, a name or a password."""
    return str(uuid.uuid4()).encode()


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
