"""Where a server without a login for its controls may listen."""

import ipaddress
import socket
from collections.abc import Iterable, Iterator

import psutil

from postroom.app.server.binding import StartError

_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


def check_hosts(hosts: Iterable[str], *, remote: bool) -> tuple[str, ...]:
    """The addresses of these hosts. Raises StartError unless all are loopback or, with `remote`, none is public."""
    return tuple(_checked(host, remote=remote) for host in hosts)


def _checked(host: str, *, remote: bool) -> str:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][4][0]
    except OSError as error:
        raise StartError(f"Cannot listen on {host}: {error.strerror}") from None
    address = _parsed(str(found))
    if address.is_loopback:
        return str(found)
    if not remote:
        raise StartError(
            f"--ephemeral has controls without a login, so it listens on loopback only, and {host} is not loopback: "
            "leave --host out or, in a container, add --allow-remote-control"
        )
    for reached in _of_this_machine(address.version) if address.is_unspecified else [address]:
        if reached.is_global:
            raise StartError(
                f"--ephemeral cannot listen on {host}: the internet may reach {reached}, and the controls have no login"
            )
    return str(found)


def _of_this_machine(version: int) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """All addresses of this machine, or of this container."""
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            if each.family == _FAMILIES[version]:
                yield _parsed(each.address)


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    # The zone of a link-local address is no part of it.
    return ipaddress.ip_address(text.partition("%")[0])
