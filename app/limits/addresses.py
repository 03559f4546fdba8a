"""The addresses of clients."""

from ipaddress import IPv4Address, IPv6Address, ip_address

Address = IPv4Address | IPv6Address


def parse_address(text: str) -> Address | None:
    """The IP address, or None if the text is not one. A mapped IPv4 address becomes plain IPv4."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # A socket on :: shows IPv4 peers as ::ffff:127.0.0.1, but the configured networks are plain IPv4.
    return getattr(address, "ipv4_mapped", None) or address
