"""bonsai's connection, with some behaviour replaced. bonsai is slow to import: import this module late."""

import asyncio
from pathlib import Path
from typing import Any

import bonsai
from bonsai.asyncio import AIOLDAPConnection


class _Dn(bonsai.LDAPDN):
    """A DN as the server wrote it. bonsai's own class refuses `cn=a#b` and turns `cn=a\\5C2C` into another DN."""

    __slots__ = ("_text",)

    def __init__(self, text: object) -> None:
        self._text = str(text)

    def __str__(self) -> str:
        return self._text


class _Entry(bonsai.LDAPEntry):
    """An entry that its connection remembers. bonsai drops the entries received before a size limit error."""

    def __init__(self, dn: object, conn: Any) -> None:
        super().__init__(_Dn(dn), conn)
        conn.arrived.append(self)


def _remember_entries() -> None:
    """Makes bonsai create our entries. It has no setting for this, but looks up the class by module and name when the
    first entry arrives.
    """
    bonsai.ldapentry.LDAPEntry = _Entry  # type: ignore[misc, assignment]


_remember_entries()


class Connection(AIOLDAPConnection):
    """Waits only for a readable socket. bonsai's class also waits for a writable one, which returns at once."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)  # type: ignore[no-untyped-call]
        self._settings = client
        #: The entries of the last answer.
        self.arrived: list[Any] = []

    def keep_raw(self, names: list[str]) -> None:
        """Returns these attributes as bytes. By default bonsai turns "+4312345" into 4312345 and "TRUE" into True."""
        self._settings.set_raw_attributes(names)

    async def answer(self, message: int) -> Any:
        """The answer to an operation in flight."""
        return await self._poll(message)

    # This overrides a private method of bonsai, which waits for every answer; there is no public way to change that.
    # The signature is bonsai's; time limits come from the caller's asyncio.timeout.
    async def _poll(self, msg_id: int, timeout: float | None = None) -> Any:  # noqa: ARG002, ASYNC109
        if self.closed:
            # Still opening: get_result() would block the loop for 5 ms until the helper thread is done.
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


#: Tasks that still open a connection after their caller has gone. The event loop holds only weak references to tasks.
_orphans: set[asyncio.Task[Connection]] = set()


async def connect(path: Path, user: str | None, password: str | None) -> Connection:
    """A bound connection to the server behind a Unix socket. After a cancellation it still opens, then closes.

    bonsai never frees a connection that is abandoned while it opens: it leaks descriptors and a thread. Once its relay
    is gone, opening it ends soon.
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
