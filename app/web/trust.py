"""Where a request comes from, and whether that alone is enough to be served."""

import re
import socket
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from aiohttp import HttpVersion11, web

from postroom.app.auth.throttle import LoginSource
from postroom.app.config import Network
from postroom.app.web.keys import context_of

Address = IPv4Address | IPv6Address

#: All that clients send which ask directly. Proxies have dozens of headers to say for whom they ask, and invent more:
#: any header that is not named here is taken for the mark of one. Nothing may be added that a proxy or a tracing agent
#: adds by itself, or that shows a browser.
DIRECT_HEADERS: Final = frozenset({
    "accept",
    "accept-encoding",
    "accept-language",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "if-match",
    # Node.js sends it, and it alone; a browser sends Sec-Fetch-Site with it.
    "sec-fetch-mode",
    "transfer-encoding",
    "user-agent",
    "x-csrf-token",
})  # fmt: skip

#: By these a browser shows itself, also through a proxy: any page of the internet can make it ask.
_BROWSER_HEADERS: Final = ("Origin", "Referer", "Sec-Fetch-Site")

#: An IPv6 address in brackets, or a name or IPv4 address; a port may follow.
_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z._-]+))(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Source:
    """An address as far as it is known. It may be relied on only when it is `certain`."""

    address: Address | None
    certain: bool

    def is_in(self, networks: Iterable[Network]) -> bool:
        """Whether the request certainly comes from one of the networks."""
        return self.certain and _is_in(self.address, networks)

    def __str__(self) -> str:
        return "" if self.address is None else str(self.address)


def find_source(
    peer: str | None, forwarded_for: Sequence[str], *, direct: bool, unreadable: bool, proxies: Sequence[Network]
) -> Source:
    """The source of a connection from `peer` with these X-Forwarded-For headers.

    `direct`: nothing shows that a proxy was in between; `unreadable`: a header that is not understood here may be the
    one in which the proxy says for whom it asks.
    """
    address = parse_address(peer or "")
    if not _is_in(address, proxies):
        # A proxy on this host that nobody told us about has a loopback address, so with it the whole internet would
        # have one. Whoever is behind it is unknown, and so is whether a header is its own or the client's.
        return Source(address, address is not None and direct)
    if not forwarded_for:
        # A proxy that forgot the header: whoever is behind it would have its address.
        return Source(address, False)
    hops = [part.strip() for header in forwarded_for for part in header.split(",")]
    # From the right: each proxy appends whom it has seen, and what stands further left anybody may have made up.
    for hop in reversed(hops):
        address = parse_address(hop)
        if not _is_in(address, proxies):
            break
    return Source(address, address is not None and not unreadable)


def source_of(request: web.Request) -> Source:
    """The source of a request."""
    return find_source(
        request.remote,
        request.headers.getall("X-Forwarded-For", ()),
        direct=_looks_direct(request),
        unreadable="Forwarded" in request.headers,
        proxies=context_of(request).config.trusted_proxies,
    )


def is_trusted(request: web.Request) -> bool:
    """Whether the request needs no login for /service: by the socket that it came over, or by its source."""
    if _came_over_the_service_socket(request):
        # Whoever may open the file may ask; there is no address, and no browser that could be lured.
        return True
    config = context_of(request).config
    return (
        source_of(request).is_in(config.service_networks)
        and not any(name in request.headers for name in _BROWSER_HEADERS)
        and _is_addressed_here(request, config.service_hosts)
    )


def _came_over_the_service_socket(request: web.Request) -> bool:
    # There is no other Unix socket that this service listens on.
    connection = None if request.transport is None else request.transport.get_extra_info("socket")
    return connection is not None and connection.family == socket.AF_UNIX


def _looks_direct(request: web.Request) -> bool:
    # nginx asks with HTTP/1.0 unless it is told otherwise, and adds no header at all.
    return request.version >= HttpVersion11 and all(name.lower() in DIRECT_HEADERS for name in request.headers)


def _is_addressed_here(request: web.Request, names: Container[str]) -> bool:
    """Whether Host is a name that nobody outside can point to this machine.

    A page from http://evil.example may have its name resolved to 127.0.0.1 once it has been loaded, and then asks as a
    page of the same origin. Its browser still says Host: evil.example.
    """
    hosts = request.headers.getall("Host", ())
    # The whole URL in place of the path names a host of its own.
    found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 and request.raw_path.startswith("/") else None
    if found is None:
        return False
    in_brackets, name = found.groups()
    if in_brackets is not None:
        return isinstance(_literal(in_brackets), IPv6Address)
    return name.lower() == "localhost" or name.lower() in names or isinstance(_literal(name), IPv4Address)


def login_source(request: web.Request) -> LoginSource:
    """The source of a request as failed logins are counted by it: of IPv6 the /64, within which hosts choose freely.

    Behind loopback may be a proxy that is not configured, and so may everybody: it is not throttled as a whole, and
    neither is a server whose users all come from it.
    """
    source = source_of(request)
    # Also when it is not certain: otherwise any header would be a way around it.
    address = source.address
    if address is None:
        return LoginSource(b"", "-", shared=True)
    key = address.packed if isinstance(address, IPv4Address) else address.packed[:8]
    shared = address.is_loopback or source.is_in(context_of(request).config.service_networks)
    # The zone of a link-local address may be any text at all.
    return LoginSource(key, str(address).partition("%")[0], shared)


def parse_address(text: str) -> Address | None:
    """The address, or None for what is none."""
    address = _literal(text)
    # A socket that listens on :: shows IPv4 peers as ::ffff:127.0.0.1; networks are written as IPv4.
    return getattr(address, "ipv4_mapped", None) or address


def _literal(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _is_in(address: Address | None, networks: Iterable[Network]) -> bool:
    return address is not None and any(address in network for network in networks)
