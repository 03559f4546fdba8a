"""What the DNS says of a mail domain. All look-ups together take no longer than the time limit.

Only the configured resolvers are asked: those of the system, or those that are set. What could not be found out in time
is null, like what is not there.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from postroom.app.services.together import Together

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver
    from dns.rdata import Rdata

#: Address and port of a resolver.
Server = tuple[str, int]

#: Longest text of an answer that is shown; what the DNS says is anybody's text.
LONGEST: Final = 2000
#: Look-ups under way at once, of all requests: each has a socket.
_AT_ONCE: Final = 64

#: Field of the answer -> (where it is, below the domain; kind of record).
_RECORDS: Final = {
    "dkim": ("dkim._domainkey", "TXT"),
    "dmarc": ("_dmarc", "TXT"),
    "caldavTXT": ("_caldavs._tcp", "TXT"),
    "carddavTXT": ("_carddavs._tcp", "TXT"),
    **{
        f"{service}SRV": (f"_{service}._tcp", "SRV")
        for service in (
            "submission", "imap", "imaps", "pop3", "pop3s", "caldav", "caldavs", "carddav", "carddavs",
        )
    },
}  # fmt: skip
_HOSTS: Final = ("autodiscover", "autoconfig")


class DnsCheck:
    """Looks up domains. `servers`: the resolvers to ask, none for the system's; `external`: one on the internet."""

    def __init__(self, servers: Sequence[Server], external: Sequence[Server], timeout: float) -> None:
        self._servers = servers
        self._external = external
        self._timeout = timeout
        self._look_ups = _LookUps()
        self._under_way: dict[str, Together[dict[str, Any]]] = {}

    async def check(self, domainname: str) -> dict[str, Any]:
        """The whole answer for a domain, by its name in A-labels. A domain is looked up once at a time."""
        if domainname not in self._under_way:
            self._under_way[domainname] = Together(partial(self._begin, domainname))
        return await self._under_way[domainname].answer()

    async def close(self) -> None:
        """Ends what is under way."""
        for each in list(self._under_way.values()):
            await each.close()
        await self._look_ups.close()

    async def _begin(self, domainname: str) -> dict[str, Any]:
        try:
            return await self._check(domainname)
        finally:
            del self._under_way[domainname]

    async def _check(self, domainname: str) -> dict[str, Any]:
        deadline = asyncio.get_running_loop().time() + self._timeout
        inside = _View(_resolver(self._servers, self._timeout), self._look_ups, deadline)
        outside = _View(_resolver(self._external, self._timeout) if self._external else None, self._look_ups, deadline)

        async def both(ask: Callable[[_View], Awaitable[str | None]]) -> dict[str, str | None]:
            internal, external = await asyncio.gather(ask(inside), ask(outside))
            return {"internalDNS": internal, "externalDNS": external}

        mx, autodiscover_srv, spf, *found = await asyncio.gather(
            _mx(inside, outside, domainname),
            _autodiscover_srv(inside, outside, domainname),
            both(lambda view: view.spf(domainname)),
            *(both(_addresses(f"{name}.{domainname}")) for name in _HOSTS),
            *(both(_records(f"{where}.{domainname}", kind)) for where, kind in _RECORDS.values()),
        )
        return {
            **_own_addresses(),
            "mxRecords": mx,
            "autodiscoverSRV": autodiscover_srv,
            "txt": spf,
            **dict(zip((*_HOSTS, *_RECORDS), found, strict=True)),
        }


class _LookUps:
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


class _View:
    """The DNS as one set of resolvers shows it, until the deadline. Without a resolver there is nothing."""

    def __init__(self, resolver: "Resolver | None", look_ups: _LookUps, deadline: float) -> None:
        self._resolver = resolver
        self._look_ups = look_ups
        self._deadline = deadline

    async def look_up(self, name: str, kind: str) -> "list[Rdata]":
        """The records of a name in their canonical order, none when there are none or they could not be had."""
        if self._resolver is None:
            return []
        return await self._look_ups.run(self._resolver, name, kind, self._deadline)

    async def records(self, name: str, kind: str) -> str | None:
        """The records as text."""
        return _joined(_text(record) for record in await self.look_up(name, kind))

    async def addresses(self, name: str) -> list[str]:
        """The addresses of a host: those of IPv6 where there are no others."""
        found = await self.look_up(name, "A") or await self.look_up(name, "AAAA")
        return [record.to_text() for record in found]

    async def hosts(self, name: str) -> str | None:
        """The addresses of a host as text."""
        return _joined(await self.addresses(name))

    async def spf(self, domainname: str) -> str | None:
        """Those TXT records of the domain that are SPF."""
        found = [_text(record) for record in await self.look_up(domainname, "TXT")]
        return _joined(text for text in found if text.lower().startswith(('"v=spf1 ', '"v=spf1"')))

    async def exchange(self, domainname: str) -> str | None:
        """The host that takes the domain's mail first."""
        found: list[Any] = await self.look_up(domainname, "MX")
        return str(found[0].exchange.to_text()) if found else None

    async def services(self, name: str) -> tuple[str | None, str | None]:
        """SRV records as text, and the host that comes first."""
        found: list[Any] = await self.look_up(name, "SRV")
        return _joined(_text(record) for record in found), found[0].target.to_text() if found else None

    async def name_of(self, address: str) -> str | None:
        """The name that an address has."""
        found = await self.look_up(ipaddress.ip_address(address).reverse_pointer, "PTR")
        return _joined(record.to_text() for record in found[:1])


def _addresses(name: str) -> Callable[[_View], Awaitable[str | None]]:
    return lambda view: view.hosts(name)


def _records(name: str, kind: str) -> Callable[[_View], Awaitable[str | None]]:
    return lambda view: view.records(name, kind)


async def _mx(inside: _View, outside: _View, domainname: str) -> dict[str, str | None]:
    exchanges = await asyncio.gather(inside.exchange(domainname), outside.exchange(domainname))
    exchange = exchanges[0] or exchanges[1]
    if exchange is None:
        return {"mxDomain": None, "internalDNS": None, "externalDNS": None, "reverseLookup": None}
    internal, external = await asyncio.gather(inside.addresses(exchange), outside.addresses(exchange))
    # As others see it, where that is known.
    addresses = external or internal
    return {
        "mxDomain": exchange[:LONGEST],
        "internalDNS": _joined(internal),
        "externalDNS": _joined(external),
        "reverseLookup": await (outside if external else inside).name_of(addresses[0]) if addresses else None,
    }


async def _autodiscover_srv(inside: _View, outside: _View, domainname: str) -> dict[str, str | None]:
    name = f"_autodiscover._tcp.{domainname}"
    (internal, first), (external, other) = await asyncio.gather(inside.services(name), outside.services(name))
    host = first or other
    ip = await inside.hosts(host) if host is not None else None
    return {"internalDNS": internal, "externalDNS": external, "ip": ip}


def _resolver(servers: Sequence[Server], timeout: float) -> "Resolver | None":
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


def _joined(texts: Iterable[str]) -> str | None:
    return ", ".join(texts)[:LONGEST] or None


def _own_addresses() -> dict[str, str | None]:
    """The address that this machine sends from. It is what others see where it is one of the internet, too."""
    address = _sends_from(socket.AF_INET, "192.0.2.1") or _sends_from(socket.AF_INET6, "2001:db8::1")
    is_public = address is not None and ipaddress.ip_address(address).is_global
    return {"localIp": address, "externalIp": address if is_public else None}


def _sends_from(family: socket.AddressFamily, towards: str) -> str | None:
    # Connecting a datagram socket asks the routing table, and sends nothing.
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asked:
            asked.connect((towards, 9))
            return str(asked.getsockname()[0])
    except OSError:
        return None
