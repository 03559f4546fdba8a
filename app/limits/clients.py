"""How long a client may take, and how many may be there at once: what keeps one of them from stopping the others."""

import resource
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from types import MappingProxyType
from typing import Final

from postroom.app.config import Config, Network

LOOPBACK: Final[tuple[Network, ...]] = (ip_network("127.0.0.0/8"), ip_network("::1"))


@dataclass(frozen=True, slots=True)
class Limits:
    """Times are in seconds, sizes in bytes. The defaults are those of the service; tests have shorter ones."""

    #: From the first byte of a request's head to its last.
    head: float = 10.0
    #: From the head to the end of the body; whoever sends at `rate` has a second more for each `rate` bytes received.
    body: float = 30.0
    rate: int = 1024
    #: A connection on which nothing is asked.
    idle: float = 75.0
    #: From the head to the answer, unless the operation is known to take longer (`unhurried` in endpoints.py).
    request: float = 60.0
    #: Without a byte taken of an answer that waits to be taken.
    answer: float = 30.0
    #: In which a client may read why its connection ends, while it still sends.
    linger: float = 1.0
    #: Between two looks at all connections. Each of the times above may be longer by one.
    tick: float = 1.0

    #: Connections, all together and from one source. Sources in `exempt` and Unix sockets are not counted by source: a
    #: proxy is there, and everybody behind it.
    connections: int = 1000
    per_source: int = 100
    exempt: tuple[Network, ...] = LOOPBACK
    #: Answers that wait to be taken, all together.
    unread: int = 64 * 1024 * 1024


#: Requests that are being worked on at once, by kind (see in_flight.py).
MOST_IN_FLIGHT: Final[Mapping[str, int]] = MappingProxyType({"read": 768, "write": 256, "anonymous": 256})


class DescriptorsError(Exception):
    """The process may have too few open files; the text is one line for the person who started it."""


#: Connections to serve unless the configuration says otherwise, and the fewest that make sense.
_WANTED: Final = 1000
_FEWEST: Final = 16
#: Open files beside the connections: the database with its readers, directories, look-ups in the DNS, what is turned
#: away, standard streams, libraries that are loaded late.
_RESERVED: Final = 224


def raise_descriptor_limit() -> int:
    """Raises the limit of open files to what is allowed, and returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):  # a hard limit beyond what the kernel has
            return soft
    return hard


def limits_of(config: Config, descriptors: int) -> Limits:
    """The limits of a configuration for a process that may have so many open files. Raises DescriptorsError."""
    room = descriptors - _RESERVED if descriptors != resource.RLIM_INFINITY else _WANTED * 1000
    wanted = config.max_connections or min(_WANTED, room)
    if room < max(wanted, _FEWEST):
        raise DescriptorsError(
            f"Only {descriptors} open files are allowed, and {max(wanted, _FEWEST)} connections need "
            f"{max(wanted, _FEWEST) + _RESERVED}: raise the limit (ulimit -n, LimitNOFILE= of systemd)"
            + (" or lower POSTROOM_MAX_CONNECTIONS" if config.max_connections else "")
        )
    return Limits(
        connections=wanted,
        per_source=config.max_connections_per_source or max(wanted // 10, 1),
        exempt=LOOPBACK + config.trusted_proxies,
        # Whoever allows a directory so much time wants its answer.
        request=max(Limits().request, config.ldap_timeout + 30),
    )
