"""Networks of addresses."""

import ipaddress

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Of an IPv6 address that stands for an IPv4 address, the bits before that.
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


def read_network(text: str) -> Network:
    """A network or a single address, in its one form: without bits of hosts, and IPv4 as IPv4. Raises ValueError."""
    if "%" in text:
        raise ValueError("the zone of an address means nothing here")
    network = ipaddress.ip_network(text.strip(), strict=False)
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        low = ipaddress.IPv4Address(int(network.network_address) & 0xFFFFFFFF)
        return ipaddress.IPv4Network((low, network.prefixlen - 96))
    return network
