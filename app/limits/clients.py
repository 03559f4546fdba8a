"""Time limits for clients, and limits of connections and requests: no client can block the others."""

import resource
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from types import MappingProxyType
from typing import Final

from postroom.app.config import Config
from postroom.app.settings import Network

LOOPBACK: Final[tuple[Network, ...]] = (ip_network("127.0.0.0/8"), ip_network("::1"))


#: Connections that the kernel keeps until they are accepted, at most net.core.somaxconn of them. It drops further ones
#: without a word, and their clients try again after one second, three seconds, and so on.
BACKLOG: Final = 4096


@dataclass(frozen=True, slots=True)
class Limits:
    """Times are in seconds, sizes in bytes. The defaults are for the service; tests use shorter times."""

    #: From the first byte of a request's head to its last.
    head: float = 10.0
    #: From the head to the end of the body, plus a second for each `rate` bytes received.
    body: float = 30.0
    rate: int = 1024
    #: How long an idle connection stays open.
    idle: float = 75.0
    #: From the head to the end of the response, plus a second for each `rate` bytes sent, except for operations that
    #: may take longer (`unhurried` in decorators.py).
    request: float = 60.0
    #: How long a client may read no byte of a response that waits for it.
    answer: float = 30.0
    #: How long a client may read why its connection ends, while it still sends.
    linger: float = 1.0
    #: Between two looks at all connections. Each of the times above may be exceeded by this much.
    tick: float = 1.0

    #: Most connections, in all and from one source. Sources in `exempt` and Unix sockets count only in all: a proxy may
    #: connect from there, with all clients behind it.
    connections: int = 1000
    per_source: int = 100
    exempt: tuple[Network, ...] = LOOPBACK
    #: Most bytes of responses that clients have not read, over all connections.
    unread: int = 64 * 1024 * 1024


#: Most requests in flight, by kind (see in_flight.py).
MOST_IN_FLIGHT: Final[Mapping[str, int]] = MappingProxyType({"read": 768, "write": 256, "anonymous": 256})


class DescriptorsError(Exception):
    """The limit of open files is too low; the text is one line for the person who started the process."""


#: The default number of connections, and the fewest that make sense.
_WANTED: Final = 1000
_FEWEST: Final = 16
#: Most connections to each of the three sockets that mail servers ask.
MAIL_CONNECTIONS: Final = 256
_MAIL: Final = 3 * MAIL_CONNECTIONS
#: Open files besides the connections: the database with its readers, directories, DNS look-ups, refused connections,
#: standard streams, libraries that are loaded late.
_RESERVED: Final = 224


def raise_descriptor_limit() -> int:
    """Raises the soft limit of open files to the hard limit, and returns the limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):  # the hard limit is above the kernel's own
            return soft
    return hard


def limits_of(config: Config, descriptors: int) -> Limits:
    """The limits of a configuration for a process with at most `descriptors` open files. Raises DescriptorsError."""
    reserved = _RESERVED + (_MAIL if config.mail_sockets is not None else 0)
    room = descriptors - reserved if descriptors != resource.RLIM_INFINITY else _WANTED * 1000
    wanted = config.max_connections or min(_WANTED, room)
    if room < max(wanted, _FEWEST):
        raise DescriptorsError(
            f"Only {descriptors} open files are allowed, and {max(wanted, _FEWEST)} connections need "
            f"{max(wanted, _FEWEST) + reserved}: raise the limit (ulimit -n, LimitNOFILE= of systemd)"
            + (" or lower POSTROOM_MAX_CONNECTIONS" if config.max_connections else "")
        )
    return Limits(
        connections=wanted,
        per_source=config.max_connections_per_source or max(wanted // 10, 1),
        exempt=LOOPBACK + config.trusted_proxies,
        # A configured directory timeout must be able to pass within the request.
        request=max(Limits().request, config.ldap_timeout + 30),
    )
