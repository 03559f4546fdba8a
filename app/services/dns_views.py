"""Looking names up in the DNS, as one set of resolvers shows it."""

import asyncio
import ipaddress
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver
    from dns.rdata import Rdata


#: Address and port of a resolver.
Server = tuple[str, int]
#: Longest text of an answer that is shown; what the DNS says is anybody's text.
LONGEST: Final = 2000
#: Look-ups under way at once, of all requests: each has a socket.
_AT_ONCE: Final = 64


class LookUps:
    """The look-ups under way. One whose time is over is left to end by itself, soon after.

    None is cancelled, or uvloop would keep the socket of one that was just about to begin, for good.
    """

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._running: set[asyncio.Task[list[Rdata]]] = set()

    async def run(self, resolver: "Resolver", name: str, kind: str, deadline: float) -> "list[Rdata]":
        """The records of a name, none when they could not be had by the deadline."""
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
        """Ends them after all: the process ends as well."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


async def _resolve(resolver: "Resolver", name: str, kind: str, seconds: float) -> "list[Rdata]":
    from dns.exception import DNSException

    try:
        # Absolute: the system's search list is not for names of others.
        found = await resolver.resolve(f"{name.rstrip('.')}.", kind, search=False, lifetime=seconds)
    except (DNSException, OSError, ValueError, EOFError):
        return []
    # Servers turn them round with each answer. By this order, what has priority comes first.
    return sorted(found)


class View:
    """The DNS as one set of resolvers shows it, until the deadline. Without a resolver there is nothing."""

    def __init__(self, resolver: "Resolver | None", look_ups: LookUps, deadline: float) -> None:
        self.make_resolver = resolver
        self._look_ups = look_ups
        self._deadline = deadline

    async def look_up(self, name: str, kind: str) -> "list[Rdata]":
        """The records of a name in their canonical order, none when there are none or they could not be had."""
        if self.make_resolver is None:
            return []
        return await self._look_ups.run(self.make_resolver, name, kind, self._deadline)

    async def records(self, name: str, kind: str) -> str | None:
        """The records as text."""
        return joined(_text(record) for record in await self.look_up(name, kind))

    async def addresses(self, name: str) -> list[str]:
        """The addresses of a host: those of IPv6 where there are no others."""
        found = await self.look_up(name, "A") or await self.look_up(name, "AAAA")
        return [record.to_text() for record in found]

    async def hosts(self, name: str) -> str | None:
        """The addresses of a host as text."""
        return joined(await self.addresses(name))

    async def spf(self, domainname: str) -> str | None:
        """Those TXT records of the domain that are SPF."""
        found = [_text(record) for record in await self.look_up(domainname, "TXT")]
        return joined(text for text in found if text.lower().startswith(('"v=spf1 ', '"v=spf1"')))

    async def exchange(self, domainname: str) -> str | None:
        """The host that takes the domain's mail first."""
        found: list[Any] = await self.look_up(domainname, "MX")
        return str(found[0].exchange.to_text()) if found else None

    async def services(self, name: str) -> tuple[str | None, str | None]:
        """SRV records as text, and the host that comes first."""
        found: list[Any] = await self.look_up(name, "SRV")
        return joined(_text(record) for record in found), found[0].target.to_text() if found else None

    async def name_of(self, address: str) -> str | None:
        """The name that an address has."""
        found = await self.look_up(ipaddress.ip_address(address).reverse_pointer, "PTR")
        return joined(record.to_text() for record in found[:1])


def make_resolver(servers: Sequence[Server], timeout: float) -> "Resolver | None":
    """Made for each check, so that a change of the system's resolvers is noticed. None: the system has none."""
    # Not at the top: importing them is slow, and few ever ask.
    from dns.asyncresolver import Resolver
    from dns.nameserver import Do53Nameserver
    from dns.resolver import NoResolverConfiguration

    try:
        resolver = Resolver(configure=not servers)
    except NoResolverConfiguration:
        return None
    if servers:
        resolver.nameservers = [Do53Nameserver(address, port) for address, port in servers]
    # One that is silent leaves time to ask it again, or the next.
    resolver.timeout = timeout / 3
    return resolver


def _text(record: Any) -> str:
    """A record as text. Strings of one TXT record are one text, as mail servers read them, quoted as in a zone file."""
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
