"""One connection to a directory server; interprets its answers. bonsai is slow to import: import this module late."""

import contextlib
import ssl
from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Sequence
from typing import Any

import bonsai

from postroom.app.directory.connection import Connection, connect
from postroom.app.directory.faults import REASONS, AwayError, FaultError, RefusedError, TooManyError
from postroom.app.directory.mapping import Entry
from postroom.app.directory.wire import Relay, open_relay
from postroom.schemas.ldap_text import ServerAddress

_BASE = int(bonsai.LDAPSearchScope.BASE)
_SUBTREE = int(bonsai.LDAPSearchScope.SUBTREE)

#: Result codes of RFC 4511 (negative: libldap's own), grouped by their meaning for the caller.
_AWAY = {-1, -5, -11, 51, 52, -101}
_TOO_MANY = 4
#: Failed logins: wrong password, no password, no such entry, locked by a policy, unwilling.
_REFUSED = {49, 48, 32, 19, 53}


class NetworkSession:
    """A connection by bonsai."""

    def __init__(self, server: ServerAddress, relay: Relay, connection: Connection) -> None:
        self.server = server
        self._relay = relay
        self._connection = connection

    @classmethod
    async def open(
        cls, server: ServerAddress, context: ssl.SSLContext | None, user: str | None, password: str | None
    ) -> "NetworkSession":
        """Connects and binds; anonymously if there is no user. AwayError, FaultError, RefusedError."""
        async with open_relay(server, context) as relay:
            with _translated(binding=True):
                connection = await connect(relay.path, user, password)
        return cls(server, relay, connection)

    @property
    def alive(self) -> bool:
        """False as soon as the server has hung up."""
        return self._relay.alive

    async def exists(self, base: str, filter_text: str) -> bool:
        """Whether the base can be read and matches the filter. AwayError, FaultError."""
        return bool(await self._ask(base, _BASE, filter_text, ["1.1"], 0))

    async def search(
        self, base: str, filter_text: str, attributes: Collection[str], limit: int, *, cut: bool = False
    ) -> list[Entry]:
        """The entries below the base, with these attributes as far as they exist. A limit of 0 means the server's own.

        Beyond the limit: with `cut` returns the received entries, otherwise TooManyError. AwayError, FaultError.
        """
        names = self._want(attributes)
        try:
            found = await self._ask(base, _SUBTREE, filter_text, names, limit)
        except TooManyError as exc:
            if not cut:
                raise
            found = exc.came
        return _entries(found, attributes)

    async def pages(
        self, base: str, filter_text: str, attributes: Collection[str], size: int
    ) -> AsyncGenerator[list[Entry], None]:
        """The entries below the base, page by page (RFC 2696). AwayError, FaultError, TooManyError."""
        names = self._want(attributes)
        with _translated():
            found = await self._connection.paged_search(base, _SUBTREE, filter_text, names, page_size=size)
            while True:
                self._connection.arrived.clear()
                yield _entries(found, attributes)
                message = found.acquire_next_page()
                if message is None:
                    return
                found = await self._connection.answer(message)

    async def names(self, base: str, filter_text: str, attributes: Collection[str], limit: int) -> set[str]:
        """The names of these attributes that occur in entries below the base. AwayError, FaultError, TooManyError."""
        found = await self._ask(base, _SUBTREE, filter_text, list(attributes), limit, names_only=True)
        return {_plain(name) for one in found for name in one if name != "dn"}

    def close(self) -> None:
        """Closes the connection at once."""
        with contextlib.suppress(bonsai.LDAPError):
            self._connection.close()
        self._relay.close()

    def _want(self, attributes: Collection[str]) -> list[str]:
        names = list({name.lower(): name for name in attributes}.values())
        self._connection.keep_raw(names)
        return names

    async def _ask(
        self, base: str, scope: int, filter_text: str, names: list[str], limit: int, *, names_only: bool = False
    ) -> Any:
        arrived = self._connection.arrived
        arrived.clear()
        try:
            with _translated():
                return await self._connection.search(
                    base, scope, filter_text, names, sizelimit=limit, attrsonly=names_only
                )
        except TooManyError as exc:
            exc.came = list(arrived)
            raise
        finally:
            # Otherwise a pooled connection would keep the entries in memory.
            arrived.clear()


def _entries(found: Iterable[Any], attributes: Collection[str]) -> list[Entry]:
    wanted = {name.lower() for name in attributes}
    return [Entry(str(one.dn), _attributes(one, wanted)) for one in found]


def _attributes(found: Any, wanted: Collection[str]) -> dict[str, Sequence[str | bytes]]:
    attributes: dict[str, Sequence[str | bytes]] = {}
    for name, values in found.items():
        plain = _plain(name)
        if plain.lower() in wanted and (values or plain not in attributes):
            attributes[plain] = tuple(_decoded(value) if isinstance(value, bytes) else str(value) for value in values)
    return attributes


def _plain(name: str) -> str:
    """The name without a range. Active Directory splits long lists: `name;range=0-1499` beside an empty `name`."""
    return name.partition(";range=")[0]


def _decoded(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


@contextlib.contextmanager
def _translated(*, binding: bool = False) -> Iterator[None]:
    """Turns bonsai's errors into ours. Drops their text, because it comes from the server."""
    try:
        yield
    except bonsai.LDAPError as exc:
        raise _translation(int(exc.code), binding=binding) from None
    except (SystemError, UnicodeDecodeError):
        # bonsai raises these for an unexpected operation, and for a DN that is not UTF-8.
        raise AwayError("its answer is not valid LDAP") from None


def _translation(code: int, *, binding: bool) -> Exception:
    if binding and code in _REFUSED:
        return RefusedError()
    if code == _TOO_MANY:
        return TooManyError()
    if code in _AWAY:
        return AwayError("it closed the connection")
    return FaultError(REASONS.get(code, f"it answered with LDAP error {code}"))
