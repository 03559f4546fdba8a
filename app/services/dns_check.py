"""Checks the DNS records of a mail domain. All look-ups together share one time limit.

Only the configured resolvers are asked: the system's, or those in the settings. A record is null if it does not exist
or if the look-up did not finish in time.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

from postroom.app.services.dns_views import LONGEST, LookUps, Server, View, joined, make_resolver
from postroom.app.services.together import Together

#: Field of the response -> (name below the domain, type of record).
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
    """Looks up domains. `servers`: resolvers to ask, empty for the system's. `external`: a resolver on the internet."""

    def __init__(self, servers: Sequence[Server], external: Sequence[Server], timeout: float) -> None:
        self._servers = servers
        self._external = external
        self._timeout = timeout
        self._look_ups = LookUps()
        self._in_flight: dict[str, Together[dict[str, Any]]] = {}

    async def check(self, domainname: str) -> dict[str, Any]:
        """The whole response for a domain, named in A-labels. Concurrent checks of one domain share one look-up."""
        if domainname not in self._in_flight:
            self._in_flight[domainname] = Together(partial(self._begin, domainname))
        return await self._in_flight[domainname].answer()

    async def close(self) -> None:
        """Cancels all checks in flight."""
        for each in list(self._in_flight.values()):
            await each.close()
        await self._look_ups.close()

    async def _begin(self, domainname: str) -> dict[str, Any]:
        try:
            return await self._check(domainname)
        finally:
            del self._in_flight[domainname]

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
    # Prefer the addresses that the internet sees.
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
    """The address that this machine sends from. It is also the external one if it is a public address."""
    address = _sends_from(socket.AF_INET, "192.0.2.1") or _sends_from(socket.AF_INET6, "2001:db8::1")
    is_public = address is not None and ipaddress.ip_address(address).is_global
    return {"localIp": address, "externalIp": address if is_public else None}


def _sends_from(family: socket.AddressFamily, towards: str) -> str | None:
    # Connecting a datagram socket only consults the routing table; it sends nothing.
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asked:
            asked.connect((towards, 9))
            return str(asked.getsockname()[0])
    except OSError:
        return None
