"""The client of a directory: limited in time and connections, and never blocking other requests."""

import asyncio
import ssl
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Hashable, Iterator
from contextlib import AsyncExitStack, aclosing, contextmanager
from typing import TypeVar

from postroom.app.directory.config import DirectoryConfig
from postroom.app.directory.faults import AwayError, FaultError, RefusedError, TooManyError
from postroom.app.directory.mapping import Entry
from postroom.app.directory.notes import Note, note_nothing
from postroom.app.directory.pool import Pool
from postroom.app.directory.questions import Questions
from postroom.app.directory.servers import OpenSession, Session, open_session
from postroom.app.errors import InvalidError, MisconfiguredError, UnavailableError, too_many_logins
from postroom.app.limits.turns import Turns
from postroom.storage.lanes import ASKER

_T = TypeVar("_T")
#: Most logins that may wait for the directory: in all, and from one source.
_MOST_LOGINS, _MOST_LOGINS_EACH = 256, 64
#: Most other questions that may wait: in all, and from one caller.
_MOST_QUESTIONS, _MOST_QUESTIONS_EACH = 1024, 100
#: Object IDs in one filter, at most.
_CHUNK = 100


class Directory:
    """One configured directory. `timeout`, `max_idle` and `avoid` are in seconds. `timeout` limits a whole operation;
    a server that was away comes last in the order for the time of `avoid`.

    `ca_file` is a PEM file of certificates to trust besides the system's (InvalidError if it cannot be read);
    `verify=False` trusts every server. Every method raises UnavailableError, with the servers and the reason, when the
    directory cannot be asked; MisconfiguredError when the configuration is at fault.
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
        note: Note = note_nothing,
        opener: OpenSession = open_session,
    ) -> None:
        self.config = config
        self._timeout = timeout
        encrypted = config.starttls or any(server.tls for server in config.servers)
        context = _tls_context(ca_file, verify=verify) if encrypted or ca_file else None
        self._pool = Pool(
            config, context, opener, timeout=timeout, connections=connections, max_idle=max_idle, avoid=avoid, note=note
        )
        self._questions = Questions(config)
        #: For logins: all connections but one, so that a sync gets one, too.
        self._logins = Turns(max(connections - 1, 1), too_many_logins, most=_MOST_LOGINS, most_each=_MOST_LOGINS_EACH)
        #: For callers' other questions: all but two, so that no caller's searches block logins.
        self._callers = Turns(
            max(connections - 2, 1), _too_many_questions, most=_MOST_QUESTIONS, most_each=_MOST_QUESTIONS_EACH
        )

    async def check(self) -> None:
        """Connects, binds and tries base DN and filters. InvalidError when the configuration is at fault."""
        await self._asked(self._questions.check, fault=InvalidError)

    async def fetch(self, object_id: bytes) -> Entry | None:
        """The user or contact with this object ID, or None. It has the attributes that mapping needs.

        InvalidError when several entries have the ID.
        """
        return await self._asked(lambda session: self._questions.find(session, object_id))

    async def search(self, term: str, limit: int) -> list[Entry]:
        """At most `limit` users, then contacts, in which one of the search attributes contains the term.

        They have the attributes that mapping needs. A size limit of the server may make them fewer. An empty term finds
        all that have such an attribute. InvalidError when the term is not valid Unicode.
        """
        if not _is_unicode(term):
            raise InvalidError("The search term holds a character that is not valid Unicode")
        # No name contains a NUL, but OpenLDAP ignores it in a filter and would find everybody.
        if limit <= 0 or "\0" in term:
            return []
        return await self._asked(lambda session: self._questions.search(session, term, limit))

    async def pages(self, size: int = 100) -> AsyncGenerator[list[Entry], None]:
        """All users, then all contacts, up to `size` at a time, with the attributes that mapping needs.

        The timeout applies to each page. The listing holds a connection until its end or aclose(). If the connection
        dies, the listing starts over, once: entries may occur twice. A listing that ends without an error is complete,
        because UnavailableError also reports a server that returns only part of its entries. An entry that matches both
        filters counts as a user; with a contact filter the listing keeps the DNs of all users to detect that.
        """
        deadline = self._deadline()
        with self._explained():
            async with self._pool.slot(deadline):
                for again in (False, True):
                    session = await self._pool.take(deadline, fresh=again)
                    try:
                        # lent() closes the connection of an unfinished listing: its next answer would be another page.
                        async with self._pool.lent(session), aclosing(self._questions.pages(session, size)) as pages:
                            while page := await _next(pages, deadline):
                                yield page
                                deadline = self._deadline()
                        break
                    except AwayError:
                        if again:
                            raise

    async def existing(self, object_ids: Collection[bytes]) -> set[bytes]:
        """The object IDs that occur in any entry below the base DN, whether or not the filters match it.

        The timeout applies to each hundred IDs.
        """
        asked = list(dict.fromkeys(object_ids))
        there: set[bytes] = set()
        for start in range(0, len(asked), _CHUNK):
            there |= await self._existing(asked[start : start + _CHUNK])
        if asked and not there:
            await self._asked(self._questions.check_base)
        return there

    async def dump(self, object_id: bytes) -> Entry | None:
        """The entry with this object ID, whether or not the filters match it, or None.

        It has all attributes except passwords and operational ones. InvalidError when several entries have the ID.
        """
        return await self._asked(lambda session: self._questions.dump(session, object_id))

    async def authenticate(self, object_id: bytes | None, password: str, source: Hashable = None) -> bool:
        """Whether the password is that of the user or contact with this object ID.

        Without an ID, or with an impossible password, the answer is no. The directory then gets the same number of
        questions, but not the password, so that neither timing nor an outage reveals who has an object. Sources take
        turns; ThrottledError when too many logins wait.
        """
        if not _can_be_password(password):
            object_id = None
        async with self._logins.turn(source):
            return await self._authenticate(object_id, password)

    async def close(self) -> None:
        """Closes all idle connections. Operations in flight still complete, then their connections close."""
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
        question: Callable[[Session], Awaitable[_T]],
        *,
        fault: type[InvalidError | MisconfiguredError] = MisconfiguredError,
    ) -> _T:
        deadline = self._deadline()
        with self._explained(fault):
            async with AsyncExitStack() as stack:
                # Callers take turns. Waiting for a turn counts towards the timeout.
                async with asyncio.timeout_at(deadline):
                    await stack.enter_async_context(self._callers.turn(ASKER.get()))
                return await self._pool.run(question, deadline)

    @contextmanager
    def _explained(self, fault: type[InvalidError | MisconfiguredError] = MisconfiguredError) -> Iterator[None]:
        """Turns every failure into an error for users of the API."""
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
                f"The directory server {names} returns only part of its entries: "
                "the size limit of the bind user has to be raised"
            ) from None


def _too_many_questions() -> UnavailableError:
    return UnavailableError("Too many requests to the directory at the same time; try again later")


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
    # With an empty password the bind is anonymous and succeeds. The C library ends a password at a NUL.
    return bool(text) and "\0" not in text and _is_unicode(text)


def _nobody() -> bytes:
    """A random value that no entry has as object ID, name or password."""
    return str(uuid.uuid4()).encode()


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
