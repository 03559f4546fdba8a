"""bonsai's connection, with what has to be different about it. bonsai is slow to import: import this late."""

import asyncio
from pathlib import Path
from typing import Any

import bonsai
from bonsai.asyncio import AIOLDAPConnection


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


def _remember_entries() -> None:
    """Has bonsai make our entries. It has no setting for this: it looks the class up by its name and that of its
    module, when the first entry arrives.
    """
    bonsai.ldapentry.LDAPEntry = _Entry  # type: ignore[misc, assignment]


_remember_entries()


class Connection(AIOLDAPConnection):
    """Waits until the socket is readable; the stock class also until it is writable, which it always is."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)  # type: ignore[no-untyped-call]
        self._settings = client
        #: The entries of the last answer.
        self.arrived: list[Any] = []

    def keep_raw(self, names: list[str]) -> None:
        """Gives values of these attributes as bytes; left alone, bonsai makes 4312345 of "+4312345", True of "TRUE"."""
        self._settings.set_raw_attributes(names)

    async def answer(self, message: int) -> Any:
        """The answer to an operation that is under way."""
        return await self._poll(message)

    # Overrides a private method of bonsai, through which it waits for every answer; there is no public way to wait
    # otherwise. The signature is bonsai's; time limits come from the caller's asyncio.timeout.
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
_orphans: set[asyncio.Task[Connection]] = set()


async def connect(path: Path, user: str | None, password: str | None) -> Connection:
    """A bound connection to the server behind a Unix socket. When cancelled, it is opened for nobody and closed.

    A connection that is abandoned while it opens is never freed: it keeps its descriptors and a thread. Without
    its relay it comes to its end by itself, soon after.
    """
    # Every byte escaped: bonsai writes the host of a URL in lower case.
    client = bonsai.LDAPClient("ldapi://" + "".join(f"%{byte:02x}" for byte in bytes(path)))
    client.set_async_connection_class(Connection)
    client.set_ignore_referrals(True)
    client.set_credentials("SIMPLE", user=user, password=password)
    opening = asyncio.ensure_future(_opened(client))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        _orphans.add(opening)
        opening.add_done_callback(_bury)
        raise


async def _opened(client: Any) -> Connection:
    opened: Connection = await client.connect(is_async=True)
    return opened


def _bury(opening: asyncio.Task[Connection]) -> None:
    _orphans.discard(opening)
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
