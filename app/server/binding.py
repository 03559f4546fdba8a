"""The sockets that a service listens on."""

import contextlib
import errno
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from postroom.app.config import Config
from postroom.app.limits.clients import BACKLOG
from postroom.app.server import mail_sockets
from postroom.app.server.service_socket import ServiceSocket, ServiceSocketError


class StartError(Exception):
    """The service cannot start; the text is one line for the person who started it."""


class Listening(NamedTuple):
    """What one process listens on: a socket for each address, and Unix sockets."""

    sockets: list[socket.socket]
    service_socket: ServiceSocket | None = None
    #: By name.
    mail: Mapping[str, ServiceSocket] = MappingProxyType({})

    @property
    def files(self) -> list[ServiceSocket]:
        """The sockets that have files."""
        return [*([self.service_socket] if self.service_socket is not None else []), *self.mail.values()]


@contextlib.contextmanager
def bound(
    config: Config, given: Sequence[socket.socket] = (), mail: Mapping[str, socket.socket] = MappingProxyType({})
) -> Iterator[list[Listening]]:
    """What each worker listens on, as long as the block runs: what the settings say, unless systemd has given sockets
    of that kind. Raises StartError.
    """
    with contextlib.ExitStack() as stack:
        shared = [each for each in given if each.family != socket.AF_UNIX]
        # Closing one of them must leave those of the other workers alone.
        groups = [[each.dup() for each in shared] for _ in range(config.workers)] if shared else []
        groups = groups or bind(config.host, config.port, config.workers)
        for sockets in groups:
            for listening in sockets:
                stack.callback(listening.close)
        try:
            service_socket = _service_socket(config, [each for each in given if each.family == socket.AF_UNIX])
            if service_socket is not None:
                stack.callback(service_socket.close)
            asked = stack.enter_context(mail_sockets.opened(config, mail))
        except ServiceSocketError as error:
            raise StartError(str(error)) from None
        yield [Listening(sockets, service_socket, asked) for sockets in groups]


def _service_socket(config: Config, given: Sequence[socket.socket]) -> ServiceSocket | None:
    if len(given) > 1:
        raise StartError("systemd has given several Unix sockets; postroom uses one, for /service without a login")
    if given:
        # Its file is systemd's to remove.
        return ServiceSocket(Path(str(given[0].getsockname())), given[0])
    if config.service_socket is None:
        return None
    return ServiceSocket.open(config.service_socket, config.service_socket_group)


def bind(hosts: tuple[str, ...], port: int, workers: int) -> list[list[socket.socket]]:
    """For each worker a socket for each address, all on one port. Raises StartError naming the address.

    With several the kernel shares connections out among their sockets (SO_REUSEPORT), so each has its own queue.

    IPv6 loopback is passed over where the machine has none, as long as something is left to listen on.
    """
    sockets: list[socket.socket] = []
    try:
        for host in hosts:
            try:
                sockets.append(_bind_one(host, sockets[0].getsockname()[1] if sockets and port == 0 else port))
            except OSError as error:
                if host == "::1" and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) and len(hosts) > 1:
                    continue
                raise StartError(_reason(host, port, error)) from None
        if not sockets:
            raise StartError(f"There is no address to listen on among {', '.join(hosts)}")
        if workers > 1:
            # Bound alone first: two services that share a port would both be content.
            addresses = [(listening.family, listening.getsockname()) for listening in sockets]
            for listening in sockets:
                listening.close()
            try:
                return _bind_shared(addresses, workers)
            except OSError as error:
                raise StartError(_reason(", ".join(hosts), port, error)) from None
    except BaseException:
        for opened in sockets:
            opened.close()
        raise
    return [sockets]


def _bind_shared(addresses: Sequence[tuple[int, Any]], workers: int) -> list[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        groups = [
            [stack.enter_context(_listen(*address, shared=True)) for address in addresses] for _ in range(workers)
        ]
        stack.pop_all()
    return groups


def _bind_one(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return _listen(family, address)


def _listen(family: socket.AddressFamily | int, address: Any, *, shared: bool = False) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # Otherwise "::" would take the port of 0.0.0.0 as well.
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        # Listening already shows a port in use that binding alone lets pass.
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


def _reason(host: str, port: int, error: OSError) -> str:
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return f"Cannot listen on {shown}: the port is in use; choose another with --port"
    if error.errno == errno.EACCES:
        return f"Cannot listen on {shown}: ports below 1024 need more rights; choose another with --port"
    return f"Cannot listen on {shown}: {error.strerror or os.strerror(error.errno or 0)}"
