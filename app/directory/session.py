"""One connection to a directory server. The one file that imports bonsai, which is slow: import it late."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, Collection, Iterable
from typing import Any

import bonsai
from bonsai.asyncio import AIOLDAPConnection

from postroom.app.directory.faults import AwayError, FaultError, RefusedError, TooManyError
from postroom.app.directory.mapping import Entry
from postroom.app.directory.wire import Relay, open_relay
from postroom.schemas.ldap import ServerAddress

_BASE = int(bonsai.LDAPSearchScope.BASE)
_SUBTREE = int(bonsai.LDAPSearchScope.SUBTREE)

#: Result codes of RFC 4511 (negative: libldap's own) by what they mean for the caller.
_AWAY = {-1, -5, -11, 51, 52, -101}
_NO_SUCH_OBJECT, _INVALID_DN, _TOO_MANY, _FILTER = 32, 34, 4, -7
#: Wrong password, no password, no such entry, locked by a policy, unwilling: none of them logs in.
_REFUSED = {49, 48, 32, 19, 53}
_REASONS = {
    1: "it requires a bind user",
    7: "it does not support this way of logging in",
    8: "it requires an encrypted connection",
    13: "it requires an encrypted connection",
    10: "it refers to another server",
    _NO_SUCH_OBJECT: "the base DN does not exist or may not be read",
    _INVALID_DN: "the base DN or the bind user is not a valid DN",
    50: "the bind user may not search",
    _FILTER: "the filter is not valid",
    3: "its time limit for a search is too low",
    11: "it gives out only part of its entries: the limits of the bind user have to be raised",
}


class _Dn(bonsai.LDAPDN):
    """A DN as the server wrote it. The stock class refuses `cn=a#b` and turns `cn=a\\5C2C` into another DN."""

    __slots__ = ("_text",)

    def __init__(self, text: object) -> None:
        self._text = str(text)

    def __str__(self) -> str:
        return self._text


class _Entry(bonsai.LDAPEntry):
    """An entry that is remembered: bonsai throws away what came before a server's "there are more"."""

    def __init__(self, dn: object, conn: Any) -> None:
        super().__init__(_Dn(dn), conn)
        conn.arrived.append(self)


# bonsai has no setting for this: it looks the class up here, by name, when the first entry arrives.
bonsai.ldapentry.LDAPEntry = _Entry  # type: ignore[misc, assignment]


class _Connection(AIOLDAPConnection):
    """Waits until the socket is readable; the stock class also until it is writable, which it always is."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)  # type: ignore[no-untyped-call]
        #: The entries of the last answer.
        self.arrived: list[Any] = []

    # The signature is bonsai's; time limits come from the caller's asyncio.timeout.
    async def _poll(self, msg_id: int, timeout: float | None = None) -> Any:  # noqa: ARG002, ASYNC109
        if self.closed:
            # Still opening: asking before the helper thread is done would sleep 5 ms in the loop.
            await self._readable()
        while True:
            result = super(AIOLDAPConnection, self).get_result(msg_id)
            if result is not None:
                return result
            await self._readable()

    async def _readable(self) -> None:
        loop, descriptor = asyncio.get_running_loop(), self.fileno()
        ready = loop.create_future()
        loop.add_reader(descriptor, _wake, ready)
        try:
            await ready
        finally:
            loop.remove_reader(descriptor)


#: Connections that are being opened for nobody; the loop itself holds tasks weakly.
_orphans: set[asyncio.Task[Any]] = set()


async def _finished(client: Any) -> Any:
    """The open connection of a client. When cancelled, the opening goes on alone until it fails soon after.

    A connection that is abandoned while it opens is never freed: it keeps its descriptors and a thread.
    Without a relay it comes to its end by itself.
    """
    opening = asyncio.ensure_future(_opened(client))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        _orphans.add(opening)
        opening.add_done_callback(_bury)
        raise


async def _opened(client: Any) -> Any:
    return await client.connect(is_async=True)


def _bury(opening: asyncio.Task[Any]) -> None:
    _orphans.discard(opening)
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


class Session:
    """A bound connection. One task at a time; after any error but TooManyError it must be closed."""

    def __init__(self, server: ServerAddress, relay: Relay, client: Any, connection: Any) -> None:
        self.server = server
        self._relay = relay
        self._client = client
        self._connection = connection

    @classmethod
    async def open(
        cls, server: ServerAddress, context: ssl.SSLContext | None, user: str | None, password: str | None
    ) -> "Session":
        """Connects and binds, anonymously without a user. AwayError, FaultError, RefusedError."""
        async with open_relay(server, context) as relay:
            # Every byte escaped: bonsai writes the host of a URL in lower case.
            escaped = "".join(f"%{byte:02x}" for byte in bytes(relay.path))
            client = bonsai.LDAPClient(f"ldapi://{escaped}")
            client.set_async_connection_class(_Connection)
            client.set_ignore_referrals(True)
            client.set_credentials("SIMPLE", user=user, password=password)
            try:
                connection = await _finished(client)
            except bonsai.LDAPError as exc:
                raise _translate(exc, binding=True) from None
        return cls(server, relay, client, connection)

    @property
    def alive(self) -> bool:
        """False as soon as the server has hung up."""
        return self._relay.alive

    async def exists(self, base: str, filter_text: str) -> bool:
        """Whether the base can be read and the filter fits it. AwayError, FaultError."""
        return bool(await self._ask(base, _BASE, filter_text, ["1.1"], 0))

    async def search(
        self, base: str, filter_text: str, attributes: Collection[str], limit: int, *, cut: bool = False
    ) -> list[Entry]:
        """The entries below the base, with those of the attributes they have; a limit of 0 is the server's own.

        When there are more: with `cut` those that came, or else TooManyError. AwayError, FaultError.
        """
        names = self._want(attributes)
        try:
            found = await self._ask(base, _SUBTREE, filter_text, names, limit)
        except TooManyError:
            if not cut:
                raise
            found = self._connection.arrived
        return _entries(found, attributes)

    async def pages(
        self, base: str, filter_text: str, attributes: Collection[str], size: int
    ) -> AsyncGenerator[list[Entry], None]:
        """The entries below the base, page by page (RFC 2696). AwayError, FaultError, TooManyError."""
        names = self._want(attributes)
        try:
            found = await self._connection.paged_search(base, _SUBTREE, filter_text, names, page_size=size)
            while True:
                self._connection.arrived.clear()
                yield _entries(found, attributes)
                message = found.acquire_next_page()
                if message is None:
                    return
                found = await self._connection.get_result(message)
        except bonsai.LDAPError as exc:
            raise _translate(exc, binding=False) from None

    async def names(self, base: str, filter_text: str, attributes: Collection[str], limit: int) -> set[str]:
        """The names of those attributes that the entries below the base have. AwayError, FaultError, TooManyError."""
        found = await self._ask(base, _SUBTREE, filter_text, list(attributes), limit, names_only=True)
        return {name for one in found for name in one if name != "dn"}

    def close(self) -> None:
        """Hangs up at once."""
        with contextlib.suppress(bonsai.LDAPError):
            self._connection.close()
        self._relay.close()

    def _want(self, attributes: Collection[str]) -> list[str]:
        names = list({name.lower(): name for name in attributes}.values())
        # Left alone, bonsai makes the number 4312345 of "+4312345", and True of "TRUE".
        self._client.set_raw_attributes(names)
        return names

    async def _ask(
        self, base: str, scope: int, filter_text: str, names: list[str], limit: int, *, names_only: bool = False
    ) -> Any:
        self._connection.arrived.clear()
        try:
            return await self._connection.search(base, scope, filter_text, names, sizelimit=limit, attrsonly=names_only)
        except bonsai.LDAPError as exc:
            raise _translate(exc, binding=False) from None


def _entries(found: Iterable[Any], attributes: Collection[str]) -> list[Entry]:
    wanted = {name.lower() for name in attributes}
    return [Entry(str(one.dn), {name: _values(one[name]) for name in one if name.lower() in wanted}) for one in found]


def _values(raw: Any) -> tuple[str | bytes, ...]:
    return tuple(_decoded(bytes(value)) for value in raw)


def _decoded(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _translate(error: Any, *, binding: bool) -> Exception:
    """bonsai's error as one of ours. Its own text is not used: it repeats what the server says."""
    code = int(error.code)
    if binding and code in _REFUSED:
        return RefusedError()
    if code == _TOO_MANY:
        return TooManyError()
    if code in _AWAY:
        return AwayError("it closed the connection")
    return FaultError(_REASONS.get(code, f"it answered with LDAP error {code}"))
