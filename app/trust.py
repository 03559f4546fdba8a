"""Where a request comes from, and whether that alone is enough to be served."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from aiohttp import web

from postroom.app.config import Network
from postroom.app.context import context_of
from postroom.app.throttle import LoginSource

Address = IPv4Address | IPv6Address

#: Headers by which a proxy shows itself.
_TRACES = ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")


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
    peer: str | None, forwarded_for: Sequence[str], *, proxied: bool, unreadable: bool, proxies: Sequence[Network]
) -> Source:
    """The source of a connection from `peer` with these X-Forwarded-For headers.

    `proxied`: a header shows that a proxy was in between; `unreadable`: one that is not understood here says for whom.
    """
    address = _parse(peer or "")
    if not _is_in(address, proxies):
        # A proxy on this host that nobody told us about has a loopback address, so with it the whole internet would
        # have one. Whoever is behind it is unknown, and so is whether the header is its own or the client's.
        return Source(address, address is not None and not proxied and not unreadable)
    hops = [part.strip() for header in forwarded_for for part in header.split(",")]
    # From the right: each proxy appends whom it has seen, and what stands further left anybody may have made up.
    for hop in reversed(hops):
        address = _parse(hop)
        if not _is_in(address, proxies):
            break
    return Source(address, address is not None and not unreadable)


def source_of(request: web.Request) -> Source:
    """The source of a request."""
    return find_source(
        request.remote,
        request.headers.getall("X-Forwarded-For", ()),
        proxied=any(name in request.headers for name in _TRACES),
        unreadable="Forwarded" in request.headers,
        proxies=context_of(request).config.trusted_proxies,
    )


def is_trusted(request: web.Request) -> bool:
    """Whether the request comes from an address that needs no login for /service."""
    return source_of(request).is_in(context_of(request).config.service_networks)


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


def _parse(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # A socket that listens on :: shows IPv4 peers as ::ffff:127.0.0.1; networks are written as IPv4.
    return getattr(address, "ipv4_mapped", None) or address


def _is_in(address: Address | None, networks: Iterable[Network]) -> bool:
    return address is not None and any(address in network for network in networks)
