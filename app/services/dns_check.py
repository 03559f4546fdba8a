"""What the DNS says of a mail domain. All look-ups together take no longer than the time limit.

Only the configured resolvers are asked: those of the system, or those that are set. What could not be found out in time
is null, like what is not there.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from postroom.app.services.dns_views import LONGEST, LookUps, Server, View, joined, make_resolver
from postroom.app.services.together import Together

if TYPE_CHECKING:
    pass


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
        self._look_ups = LookUps()
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
        inside = View(make_resolver(self._servers, self._timeout), self._look_ups, deadline)
        outside = View(
            make_resolver(self._external, self._timeout) if self._external else None, self._look_ups, deadline
        )

        async def both(ask: Callable[[View], Awaitable[str | None]]) -> dict[str, str | None]:
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


def _addresses(name: str) -> Callable[[View], Awaitable[str | None]]:
    return lambda view: view.hosts(name)


def _records(name: str, kind: str) -> Callable[[View], Awaitable[str | None]]:
    return lambda view: view.records(name, kind)


async def _mx(inside: View, outside: View, domainname: str) -> dict[str, str | None]:
    exchanges = await asyncio.gather(inside.exchange(domainname), outside.exchange(domainname))
    exchange = exchanges[0] or exchanges[1]
    if exchange is None:
        return {"mxDomain": None, "internalDNS": None, "externalDNS": None, "reverseLookup": None}
    internal, external = await asyncio.gather(inside.addresses(exchange), outside.addresses(exchange))
    # As others see it, where that is known.
    addresses = external or internal
    return {
        "mxDomain": exchange[:LONGEST],
        "internalDNS": joined(internal),
        "externalDNS": joined(external),
        "reverseLookup": await (outside if external else inside).name_of(addresses[0]) if addresses else None,
    }


async def _autodiscover_srv(inside: View, outside: View, domainname: str) -> dict[str, str | None]:
    name = f"_autodiscover._tcp.{domainname}"
    (internal, first), (external, other) = await asyncio.gather(inside.services(name), outside.services(name))
    host = first or other
    ip = await inside.hosts(host) if host is not None else None
    return {"internalDNS": internal, "externalDNS": external, "ip": ip}


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
