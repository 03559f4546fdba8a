"""One connection to a directory server. The one file that imports bonsai, which is slow: import it late."""

import asyncio
import contextlib
import ssl
from typing import Any

import bonsai
from bonsai.asyncio import AIOLDAPConnection

from postroom.app.directory.mapping import Entry
from postroom.app.directory.wire import AwayError, Relay, open_relay
from postroom.schemas.ldap import ServerAddress

BASE = int(bonsai.LDAPSearchScope.BASE)
SUBTREE = int(bonsai.LDAPSearchScope.SUBTREE)

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
}


class FaultError(Exception):
    """The server answered and cannot do what is configured; the text is the reason."""


class RefusedError(Exception):
    """The server does not accept the DN with this password."""


class TooManyError(Exception):
    """There are more entries than were asked for."""


class _Dn(bonsai.LDAPDN):
    """A DN as the server wrote it. The stock class refuses `cn=a#b` and turns `cn=a\\5C2C` into another DN."""

    __slots__ = ("_text",)

    def __init__(self, text: object) -> None:
        self._text = str(text)

    def __str__(self) -> str:
        return self._text


class _Entry(bonsai.LDAPEntry):
    def __init__(self, dn: object, conn: Any = None) -> None:
        super().__init__(_Dn(dn), conn)


# bonsai has no setting for this: it looks the class up here, by name, when the first entry arrives.
bonsai.ldapentry.LDAPEntry = _Entry  # type: ignore[misc]


class _Connection(AIOLDAPConnection):
    """Waits until the socket is readable; the stock class also until it is writable, which it always is."""

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

    def __init__(self, server: ServerAddress, relay: Relay, connection: Any) -> None:
        self.server = server
        self._relay = relay
        self._connection = connection

    @classmethod
    async def open(
        cls,
        server: ServerAddress,
        context: ssl.SSLContext | None,
        user: str | None,
        password: str | None,
        raw: list[str],
    ) -> "Session":
        """Connects and binds, anonymously without a user; values of the attributes in `raw` can be asked for.

        AwayError, FaultError, RefusedError.
        """
        async with open_relay(server, context) as relay:
            # Every byte escaped: bonsai writes the host of a URL in lower case.
            escaped = "".join(f"%{byte:02x}" for byte in bytes(relay.path))
            client = bonsai.LDAPClient(f"ldapi://{escaped}")
            client.set_async_connection_class(_Connection)
            client.set_ignore_referrals(True)
            # Left alone, bonsai makes the number 4312345 of "+4312345", and True of "TRUE".
            client.set_raw_attributes(raw)
            client.set_credentials("SIMPLE", user=user, password=password)
            try:
                connection = await _finished(client)
            except bonsai.LDAPError as exc:
                raise _translate(exc, binding=True) from None
        return cls(server, relay, connection)

    @property
    def alive(self) -> bool:
        """False as soon as the server has hung up."""
        return self._relay.alive

    async def search(self, base: str, scope: int, filter_text: str, attributes: list[str], limit: int) -> list[Entry]:
        """The entries found, with those of the attributes they have. AwayError, FaultError, TooManyError."""
        try:
            found = await self._connection.search(base, scope, filter_text, attributes, sizelimit=limit)
        except bonsai.LDAPError as exc:
            raise _translate(exc, binding=False) from None
        wanted = {name.lower() for name in attributes}
        return [
            Entry(str(one.dn), {name: _values(one[name]) for name in one if name.lower() in wanted}) for one in found
        ]

    def close(self) -> None:
        """Hangs up at once."""
        with contextlib.suppress(bonsai.LDAPError):
            self._connection.close()
        self._relay.close()


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
