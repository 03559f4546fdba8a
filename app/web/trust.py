"""Where a request comes from, and whether its source makes a login unnecessary."""

import re
import socket
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from aiohttp import HttpVersion11, web

from postroom.app.auth.throttle import LoginSource, counted_source
from postroom.app.errors import ForbiddenError
from postroom.app.limits.addresses import Address, parse_address
from postroom.app.settings import Network
from postroom.app.web.keys import context_of

#: The headers that direct clients send. Proxies have dozens of headers to name their client, and invent more, so any
#: header that is not in this list counts as the sign of a proxy. Never add a header that a proxy or a tracing agent
#: adds by itself, or that only browsers send.
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
    # Node.js sends this one alone; a browser also sends Sec-Fetch-Site.
    "sec-fetch-mode",
    "transfer-encoding",
    "user-agent",
    "x-csrf-token",
})  # fmt: skip

#: The same for scrapes of metrics.
_SCRAPE_HEADERS: Final = DIRECT_HEADERS | {"x-prometheus-scrape-timeout-seconds"}

#: Headers that reveal a browser, also behind a proxy: any page on the internet can make it send requests here.
_BROWSER_HEADERS: Final = ("Origin", "Referer", "Sec-Fetch-Site")

#: An IPv6 address in brackets, or a name or IPv4 address; a port may follow.
_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z._-]+))(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Source:
    """The source address of a request, if known. Rely on it only when it is `certain`."""

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
    """The source of a request that `peer` sent with these X-Forwarded-For headers.

    `direct`: there is no sign of a proxy in between. `unreadable`: the proxy may have named its client in a header that
    is not parsed here.
    """
    address = parse_address(peer or "")
    if not _is_in(address, proxies):
        # A proxy on this host that is not configured has a loopback address, so the whole internet would share it. Its
        # client is unknown, and so is whether a header comes from the proxy or from the client.
        return Source(address, address is not None and direct)
    if not forwarded_for:
        # The proxy did not set the header: every client behind it would have the proxy's address.
        return Source(address, False)
    hops = [part.strip() for header in forwarded_for for part in header.split(",")]
    # From the right: each proxy appends the address that it saw, and a client can forge everything further left.
    for hop in reversed(hops):
        address = parse_address(hop)
        if not _is_in(address, proxies):
            break
    return Source(address, address is not None and not unreadable)


def source_of(request: web.Request, direct_headers: Container[str] = DIRECT_HEADERS) -> Source:
    """The source of a request, by its peer and headers."""
    return find_source(
        request.remote,
        request.headers.getall("X-Forwarded-For", ()),
        direct=_looks_direct(request, direct_headers),
        unreadable="Forwarded" in request.headers,
        proxies=context_of(request).config.trusted_proxies,
    )


def address_of(request: web.Request) -> str:
    """The source address of a request as a text, for a record; empty if it is unknown."""
    forwarded_for = tuple(request.headers.getall("X-Forwarded-For", ()))
    return _address(request.remote, forwarded_for, context_of(request).config.trusted_proxies)


@lru_cache(maxsize=1024)
def _address(peer: str | None, forwarded_for: tuple[str, ...], proxies: tuple[Network, ...]) -> str:
    # The zone of a link-local address can be any text.
    return str(find_source(peer, forwarded_for, direct=False, unreadable=False, proxies=proxies)).partition("%")[0]


def is_trusted(request: web.Request) -> bool:
    """Whether the request needs no login for /service, because of the socket that it came over or its source."""
    if _came_over_the_service_socket(request):
        # The permissions of the file decide who can connect. There is no address, and no browser to trick.
        return True
    return _is_sent_by(request, context_of(request).config.service_networks, DIRECT_HEADERS)


def may_scrape(request: web.Request) -> bool:
    """Whether the request may see the metrics, because of its source. The socket for /service is for others."""
    return _is_sent_by(request, context_of(request).config.metrics_networks, _SCRAPE_HEADERS)


def _is_sent_by(request: web.Request, networks: Iterable[Network], direct_headers: Container[str]) -> bool:
    """Whether a program in one of the networks has sent the request, and no browser there."""
    return (
        source_of(request, direct_headers).is_in(networks)
        and not any(name in request.headers for name in _BROWSER_HEADERS)
        and _is_addressed_here(request, context_of(request).config.service_hosts)
    )


def refuse_pages(request: web.Request) -> None:
    """Raises ForbiddenError when a page from elsewhere may have made a browser send this request."""
    if not _is_addressed_here(request, context_of(request).config.service_hosts):
        raise ForbiddenError("Host has to be localhost, an IP address, or a name in POSTROOM_SERVICE_HOSTS")
    own = f"{request.scheme}://{request.host}"
    foreign_origin = any(origin != own for origin in request.headers.getall("Origin", ()))
    if foreign_origin or request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise ForbiddenError("A page of another origin may not do this")


def _came_over_the_service_socket(request: web.Request) -> bool:
    # The service listens on no other Unix socket.
    connection = None if request.transport is None else request.transport.get_extra_info("socket")
    return connection is not None and connection.family == socket.AF_UNIX


def _looks_direct(request: web.Request, headers: Container[str]) -> bool:
    # nginx speaks HTTP/1.0 to its backend by default, and adds no header at all.
    return request.version >= HttpVersion11 and all(name.lower() in headers for name in request.headers)


def _is_addressed_here(request: web.Request, names: Container[str]) -> bool:
    """Whether Host is a name that no outsider can point to this machine. This prevents DNS rebinding.

    The owner of http://evil.example can let the name resolve to 127.0.0.1 once a page of it is loaded. Requests of the
    page to this service then count as same-origin, but the browser still sends Host: evil.example.
    """
    hosts = request.headers.getall("Host", ())
    # A full URL in place of the path would name a second host.
    found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 and request.raw_path.startswith("/") else None
    if found is None:
        return False
    in_brackets, name = found.groups()
    if in_brackets is not None:
        return isinstance(_literal(in_brackets), IPv6Address)
    return name.lower() == "localhost" or name.lower() in names or isinstance(_literal(name), IPv4Address)


def login_source(request: web.Request) -> LoginSource:
    """The source by which failed logins are counted.

    A loopback address may be a proxy that is not configured, with all clients behind it, so it is not throttled as a
    whole. Neither are the addresses in POSTROOM_SERVICE_NETWORKS: all users of such a server share its address.
    """
    source = source_of(request)
    # Counted even if it is not certain: otherwise any extra header would bypass the throttle.
    return counted_source(source.address, shared=source.is_in(context_of(request).config.service_networks))


def _literal(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _is_in(address: Address | None, networks: Iterable[Network]) -> bool:
    return address is not None and any(address in network for network in networks)
