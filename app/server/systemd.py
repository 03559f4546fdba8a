"""What systemd gives a service, and what it wants to be told: sockets, and messages about how the service is.

The protocol is a few lines: descriptors from 3 on, and datagrams with text. See sd_listen_fds(3) and sd_notify(3).
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from postroom.app.config import taken_from_environment
from postroom.app.server.binding import StartError
from postroom.app.server.mail_sockets import NAMES

log = logging.getLogger("postroom")

_VARIABLES: Final = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
#: The first descriptor that is given.
_FIRST: Final = 3
#: So often within its limit the watchdog hears of the service, because a check may take a while.
_SHARE: Final = 3


@dataclass(frozen=True, slots=True)
class Systemd:
    """The defaults are those without systemd: nothing is given, and nobody is told."""

    #: Listening sockets that it has opened, besides those for mail.
    sockets: list[socket.socket] = field(default_factory=list)
    #: Sends a message; None: nobody listens.
    send: Callable[[bytes], object] | None = None
    #: Seconds until the next sign of life is due; None: there is no watchdog.
    interval: float | None = None
    #: The sockets that mail servers ask, by their FileDescriptorName=.
    mail: Mapping[str, socket.socket] = field(default_factory=dict)

    def tell(self, *lines: str) -> None:
        """Sends a message, such as READY=1."""
        if self.send is None:
            return
        try:
            self.send("\n".join(lines).encode())
        except OSError as error:
            log.warning("systemd cannot be told %s: %s", lines[0], error.strerror)

    def reloading(self) -> None:
        """Tells that the settings are read again. READY=1 ends it."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


#: Without systemd.
NOTHING: Final = Systemd()


def of_this_process() -> Systemd:
    """What systemd has given this process. Raises StartError for a socket that cannot be used.

    It is removed from the environment: no other program may take it for its own.
    """
    return from_variables(taken_from_environment(_VARIABLES), os.getpid())


def from_variables(given: Mapping[str, str], pid: int) -> Systemd:
    """The same, from these variables."""
    address = given.get("NOTIFY_SOCKET", "")
    sockets, mail = _sorted(given, _count(given, pid))
    return Systemd(
        sockets, partial(_send, address) if address else None, _interval(given, pid) if address else None, mail
    )


def _sorted(given: Mapping[str, str], count: int) -> tuple[list[socket.socket], dict[str, socket.socket]]:
    """(all but those for mail, those for mail by name). Raises StartError."""
    # Without FileDescriptorName= the name is that of the unit.
    names = given.get("LISTEN_FDNAMES", "").split(":")
    sockets: list[socket.socket] = []
    mail: dict[str, socket.socket] = {}
    for number in range(count):
        found, name = _listening(_FIRST + number), names[number] if number < len(names) else ""
        if name not in NAMES:
            sockets.append(found)
        elif name in mail or found.family != socket.AF_UNIX:
            raise StartError(f"systemd has given a socket named {name} that is not a single Unix socket")
        else:
            mail[name] = found
    return sockets, mail


def _send(address: str, message: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        # A manager that takes nothing must not hold up the service.
        sender.setblocking(False)
        # With @ the address is in no folder: its first byte is NUL.
        sender.sendto(message, "\0" + address[1:] if address.startswith("@") else address)


def _count(given: Mapping[str, str], pid: int) -> int:
    # Another program may have been given them, and have started this one.
    return _number(given.get("LISTEN_FDS", "0")) if given.get("LISTEN_PID") == str(pid) else 0


def _interval(given: Mapping[str, str], pid: int) -> float | None:
    limit = _number(given.get("WATCHDOG_USEC", "0"))
    return limit / 1_000_000 / _SHARE if limit and given.get("WATCHDOG_PID", str(pid)) == str(pid) else None


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def _listening(descriptor: int) -> socket.socket:
    try:
        found = socket.socket(fileno=descriptor)
        usable = found.type == socket.SOCK_STREAM and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError:
        usable = False
    if not usable or found.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        raise StartError(f"Descriptor {descriptor} of systemd is no listening socket: use ListenStream=")
    found.set_inheritable(False)
    return found
