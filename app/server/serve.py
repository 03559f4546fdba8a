"""Serving an application on its addresses until it is told to stop."""

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator

from aiohttp import web

from postroom.app.config import Config
from postroom.app.limits.clients import DescriptorsError, Limits, limits_of, raise_descriptor_limit
from postroom.app.limits.in_flight import IN_FLIGHT
from postroom.app.main import FIRST_LOGIN, create_app
from postroom.app.server.ending import Ending
from postroom.app.server.runner import make_runner
from postroom.app.server.service_socket import ServiceSocket, ServiceSocketError, ServiceSocketSite
from postroom.app.server.tls import Tls, TlsError, TlsSite
from postroom.app.web.keys import CONTEXT

log = logging.getLogger("postroom")

#: Part of the time of a shutdown in which a request that is cut off ends, which aiohttp waits for twice; and at most.
_CUT_OFF_SHARE = 0.05
_CUT_OFF = 0.5


class StartError(Exception):
    """The service cannot start; the text is one line for the person who started it."""


async def run(config: Config, say: Callable[[str], None]) -> None:
    """Serves until SIGINT or SIGTERM, then lets requests under way finish and closes the database.

    `say` gets the lines that tell where the service is and how to log in. Raises StartError, DatabaseError.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    ending = Ending(config.shutdown_timeout)
    ending.watch(lambda: _tell(loop, stop))
    try:
        await _serve(config, say, stop, ending)
    finally:
        ending.closed()


def _tell(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended by itself
        loop.call_soon_threadsafe(stop.set)


async def _serve(config: Config, say: Callable[[str], None], stop: asyncio.Event, ending: Ending) -> None:
    limits = _limits(config)
    if config.database == ":memory:" and config.admin_password is None and not sys.stdout.isatty():
        raise StartError("There is no terminal to show a first password on, and no file: set POSTROOM_ADMIN_PASSWORD")
    tls = _tls(config)
    if tls is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, tls.reload)
    # Bound before anything else: a port in use must not cost a migration or print a password.
    with bound(config) as (sockets, service_socket):
        cut_off = min(_CUT_OFF, _CUT_OFF_SHARE * config.shutdown_timeout)
        runner = make_runner(create_app(config), cut_off, limits)
        try:
            await runner.setup()
            for listening in sockets:
                await _site(runner, listening, tls).start()
            if service_socket is not None:
                await ServiceSocketSite(runner, service_socket.listening).start()
            _greet(config, runner, sockets, say)
            await stop.wait()
            log.info("Stopping")
            if service_socket is not None:
                service_socket.remove()
            await _finish(runner, ending.left_for_requests())
        finally:
            if service_socket is not None:
                service_socket.remove()
            await runner.cleanup()


@contextlib.contextmanager
def bound(config: Config) -> Iterator[tuple[list[socket.socket], ServiceSocket | None]]:
    """All that the settings say to listen on, as long as the block runs. Raises StartError."""
    with contextlib.ExitStack() as stack:
        sockets = bind(config.host, config.port)
        for listening in sockets:
            stack.callback(listening.close)
        service_socket = None
        if config.service_socket is not None:
            try:
                service_socket = ServiceSocket.open(config.service_socket, config.service_socket_group)
            except ServiceSocketError as error:
                raise StartError(str(error)) from None
            stack.callback(service_socket.close)
        yield sockets, service_socket


def _tls(config: Config) -> Tls | None:
    if config.tls_cert is None or config.tls_key is None:
        return None
    try:
        return Tls(config.tls_cert, config.tls_key)
    except TlsError as error:
        raise StartError(str(error)) from None


def _site(runner: web.AppRunner, listening: socket.socket, tls: Tls | None) -> web.SockSite:
    if tls is None:
        return web.SockSite(runner, listening, backlog=1024)
    return TlsSite(runner, listening, ssl_context=tls.context, backlog=1024)


async def _finish(runner: web.AppRunner, seconds: float) -> None:
    """Stops listening and waits until the requests under way are answered, for so many seconds at most.

    aiohttp by itself would cut off a request whose body is still on its way.
    """
    for site in list(runner.sites):
        await site.stop()
    in_flight = runner.app[IN_FLIGHT]
    in_flight.stopping = True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await in_flight.none()


def _limits(config: Config) -> Limits:
    try:
        return limits_of(config, raise_descriptor_limit())
    except DescriptorsError as error:
        raise StartError(str(error)) from None


def bind(hosts: tuple[str, ...], port: int) -> list[socket.socket]:
    """A socket for each address of each host, all on one port. Raises StartError naming the address.

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
    except BaseException:
        for opened in sockets:
            opened.close()
        raise
    if not sockets:
        raise StartError(f"There is no address to listen on among {', '.join(hosts)}")
    return sockets


def _bind_one(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Otherwise "::" would take the port of 0.0.0.0 as well.
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        # Listening already shows a port in use that binding alone lets pass.
        listening.listen(1024)
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


def _greet(config: Config, runner: web.AppRunner, sockets: list[socket.socket], say: Callable[[str], None]) -> None:
    for listening in sockets:
        host, port = listening.getsockname()[:2]
        scheme = "https" if config.tls_cert else "http"
        url = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
        say(f"postroom listens on {url} - API below {url}/api/v1, its description at {url}/docs")
    if config.service_socket is not None:
        say(f"Without a login, /api/v1/service on the socket {config.service_socket}")
    told = runner.app[FIRST_LOGIN]
    if told is not None:
        say(f"First start: log in as admin with the password {told}")
    say(f"Database: {config.database} ({runner.app[CONTEXT].database.engine}). Stop with Ctrl+C.")
