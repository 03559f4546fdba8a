"""DNS look-ups through one set of resolvers."""

import asyncio
import ipaddress
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver
    from dns.rdata import Rdata


#: Address and port of a resolver.
Server = tuple[str, int]
#: Longest text from the DNS that is shown, in characters. Anybody can write text into the DNS.
LONGEST: Final = 2000
#: Look-ups in flight at once, across all requests. Each has a socket.
_AT_ONCE: Final = 64


class LookUps:
    """The look-ups in flight. After its deadline a look-up ends by itself, soon after.

    It is not cancelled: uvloop would leak the socket of a look-up that is just starting.
    """

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._running: set[asyncio.Task[list[Rdata]]] = set()

    async def run(self, resolver: "Resolver", name: str, kind: str, deadline: float) -> "list[Rdata]":
        """The records of a name; none if they do not arrive by the deadline."""
        try:
            async with asyncio.timeout_at(deadline):
                await self._slots.acquire()
        except TimeoutError:
            return []
        left = deadline - asyncio.get_running_loop().time()
        running = asyncio.create_task(_resolve(resolver, name, kind, left))
        self._running.add(running)
        running.add_done_callback(self._ended)
        await asyncio.wait([running], timeout=left)
        return running.result() if running.done() else []

    def _ended(self, task: "asyncio.Task[list[Rdata]]") -> None:
        self._running.discard(task)
        self._slots.release()

    async def close(self) -> None:
        """Cancels them all. A leaked socket does no harm here, because the process ends as well."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


async def _resolve(resolver: "Resolver", name: str, kind: str, seconds: float) -> "list[Rdata]":
    from dns.exception import DNSException

    try:
        # An absolute name: the system's search list must not apply to foreign names.
        found = await resolver.resolve(f"{name.rstrip('.')}.", kind, search=False, lifetime=seconds)
    except (DNSException, OSError, ValueError, EOFError):
        return []
    # Servers rotate the records with each answer. Sorted, the preferred one comes first.
    return sorted(found)


class View:
    """The DNS as one set of resolvers shows it, until the deadline. Without a resolver it is empty."""

    def __init__(self, resolver: "Resolver | None", look_ups: LookUps, deadline: float) -> None:
        self._resolver = resolver
        self._look_ups = look_ups
        self._deadline = deadline

    async def look_up(self, name: str, kind: str) -> "list[Rdata]":
        """The records of a name in canonical order; none if there are none or the look-up failed."""
        if self._resolver is None:
            return []
        return await self._look_ups.run(self._resolver, name, kind, self._deadline)

    async def records(self, name: str, kind: str) -> str | None:
        """The records as text."""
        return joined(_text(record) for record in await self.look_up(name, kind))

    async def addresses(self, name: str) -> list[str]:
        """The IPv4 addresses of a host, or its IPv6 addresses if it has no others."""
        found = await self.look_up(name, "A") or await self.look_up(name, "AAAA")
        return [record.to_text() for record in found]

    async def hosts(self, name: str) -> str | None:
        """The addresses of a host as text."""
        return joined(await self.addresses(name))

    async def spf(self, domainname: str) -> str | None:
        """The SPF records among the domain's TXT records."""
        found = [_text(record) for record in await self.look_up(domainname, "TXT")]
        return joined(text for text in found if text.lower().startswith(('"v=spf1 ', '"v=spf1"')))

    async def exchange(self, domainname: str) -> str | None:
        """The domain's preferred mail exchanger."""
        found: list[Any] = await self.look_up(domainname, "MX")
        return str(found[0].exchange.to_text()) if found else None

    async def services(self, name: str) -> tuple[str | None, str | None]:
        """The SRV records as text, and the preferred host."""
        found: list[Any] = await self.look_up(name, "SRV")
        return joined(_text(record) for record in found), found[0].target.to_text() if found else None

    async def name_of(self, address: str) -> str | None:
        """The host name of an address (reverse look-up)."""
        found = await self.look_up(ipaddress.ip_address(address).reverse_pointer, "PTR")
        return joined(record.to_text() for record in found[:1])


def make_resolver(servers: Sequence[Server], timeout: float) -> "Resolver | None":
    """A new resolver for each check, so that changed system settings take effect. None if the system has none."""
    # Not at the top: the import is slow and rarely needed.
    from dns.asyncresolver import Resolver
    from dns.nameserver import Do53Nameserver
    from dns.resolver import NoResolverConfiguration

    try:
        resolver = Resolver(configure=not servers)
    except NoResolverConfiguration:
        return None
    if servers:
        resolver.nameservers = [Do53Nameserver(address, port) for address, port in servers]
    # A silent server leaves time for a retry, or for the next server.
    resolver.timeout = timeout / 3
    return resolver


def _text(record: Any) -> str:
    """A record as text. The strings of a TXT record are joined, as mail servers do, and quoted as in a zone file."""
    if not hasattr(record, "strings"):
        return str(record.to_text())
    return '"' + "".join(_quoted(byte) for byte in b"".join(record.strings)) + '"'


def _quoted(byte: int) -> str:
    character = chr(byte)
    if character in '"\\':
        return f"\\{character}"
    return character if " " <= character <= "~" else f"\\{byte:03d}"


def joined(texts: Iterable[str]) -> str | None:
    return ", ".join(texts)[:LONGEST] or None
