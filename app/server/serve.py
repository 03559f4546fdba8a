"""Runs the service on its addresses until a signal stops it."""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from aiohttp import web

from postroom.app.config import Config
from postroom.app.limits.clients import BACKLOG, DescriptorsError, Limits, limits_of, raise_descriptor_limit
from postroom.app.limits.in_flight import IN_FLIGHT
from postroom.app.main import FIRST_LOGIN, create_app
from postroom.app.server.alive import keep_telling
from postroom.app.server.binding import Listening, StartError, bound
from postroom.app.server.ending import Ending
from postroom.app.server.runner import make_runner
from postroom.app.server.service_socket import ServiceSocketSite
from postroom.app.server.systemd import NOTHING, Systemd
from postroom.app.server.tls import Tls, TlsError, TlsSite
from postroom.app.web.keys import CURRENT
from postroom.storage.urls import shown

if TYPE_CHECKING:
    from postroom.app.mail.serving import Server
    from postroom.app.services.context import Context

log = logging.getLogger("postroom")

#: How long a cancelled request may take to end; aiohttp waits for this twice. A share of the shutdown time, and the
#: maximum in seconds.
_CUT_OFF_SHARE = 0.05
_CUT_OFF = 0.5


async def run(config: Config, say: Callable[[str], None], systemd: Systemd = NOTHING) -> None:
    """Serves until SIGINT or SIGTERM, then lets requests in flight finish and closes the database.

    `say` gets the lines about the service's addresses and the first login. Raises StartError, DatabaseError.
    """
    with ending_of(config) as (stop, ending):
        await _serve(config, say, stop, ending, systemd)


@contextlib.contextmanager
def ending_of(config: Config, lifeline: int | None = None) -> Iterator[tuple[asyncio.Event, Ending]]:
    """(set when the process has to end, the ending) for the time of the block, which may catch signals from then on."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    ending = Ending(config.shutdown_timeout, lifeline)
    ending.watch(lambda: _tell(loop, stop))
    try:
        yield stop, ending
    finally:
        ending.closed()


def _tell(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Sets the event from another thread."""
    with contextlib.suppress(RuntimeError):  # the loop has ended by itself
        loop.call_soon_threadsafe(stop.set)


async def _serve(
    config: Config, say: Callable[[str], None], stop: asyncio.Event, ending: Ending, systemd: Systemd
) -> None:
    if config.database == ":memory:" and config.admin_password is None and not sys.stdout.isatty():
        raise StartError("There is no terminal to show a first password on, and no file: set POSTROOM_ADMIN_PASSWORD")
    # Bind before anything else: with a port in use, the start must neither migrate the database nor print a password.
    with bound(config, systemd.sockets, systemd.mail) as (listening,):
        app = create_app(config)

        def started() -> None:
            greet(config, listening, app[FIRST_LOGIN], app[CURRENT].context.database.engine, say)

        await serve_on(config, listening, load_tls(config), app, stop, ending, started, systemd)


async def serve_on(
    config: Config,
    listening: Listening,
    tls: Tls | None,
    app: web.Application,
    stop: asyncio.Event,
    ending: Ending,
    started: Callable[[], None] = lambda: None,
    systemd: Systemd = NOTHING,
) -> None:
    """Serves an application on sockets until it is told to stop; calls `started` when it does. Raises StartError."""
    limits = check_limits(config)
    if tls is not None or systemd.send is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload, tls, systemd)
    cut_off = min(_CUT_OFF, _CUT_OFF_SHARE * config.shutdown_timeout)
    runner = make_runner(app, cut_off, limits)
    mail: list[Server] = []
    try:
        await runner.setup()
        for each in listening.sockets:
            await _site(runner, each, tls).start()
        if listening.service_socket is not None:
            await ServiceSocketSite(runner, listening.service_socket.listening).start()
        mail = start_mail(listening, app[CURRENT].context)
        started()
        systemd.tell("READY=1")
        living = asyncio.create_task(keep_telling(systemd, app[CURRENT].context.database))
        await stop.wait()
        log.info("Stopping")
        systemd.tell("STOPPING=1")
        living.cancel()
        for file in listening.files:
            file.remove()
        seconds = ending.left_for_requests()
        await asyncio.gather(_finish(runner, seconds), *(each.stop(seconds) for each in mail))
    finally:
        for file in listening.files:
            file.remove()
        for server in mail:
            await server.stop(0)
        await runner.cleanup()


def start_mail(listening: Listening, context: "Context") -> "list[Server]":
    """Answers over the sockets that mail servers ask, if there are any."""
    if not listening.mail:
        return []
    # Imported here: without mail, nothing of it is needed.
    from postroom.app.mail.servers import servers_of

    servers = servers_of({name: each.listening for name, each in listening.mail.items()}, context)
    for each in servers:
        each.start()
    return servers


def reload(tls: Tls | None, systemd: Systemd) -> None:
    """Loads the certificate again, the only thing that can be. Without one there is nothing to do."""
    systemd.reloading()
    if tls is not None:
        tls.reload()
    systemd.tell("READY=1")


def load_tls(config: Config) -> Tls | None:
    """What the settings say of TLS, or None. Raises StartError."""
    if config.tls_cert is None or config.tls_key is None:
        return None
    try:
        return Tls(config.tls_cert, config.tls_key)
    except TlsError as error:
        raise StartError(str(error)) from None


def _site(runner: web.AppRunner, listening: socket.socket, tls: Tls | None) -> web.SockSite:
    if tls is None:
        return web.SockSite(runner, listening, backlog=BACKLOG)
    return TlsSite(runner, listening, ssl_context=tls.context, backlog=BACKLOG)


async def _finish(runner: web.AppRunner, seconds: float) -> None:
    """Stops listening and waits for the requests in flight, at most `seconds`.

    aiohttp alone would cut off a request whose body is still arriving.
    """
    in_flight = runner.app[IN_FLIGHT]
    # First: whoever asks /readyz over an open connection is to know at once.
    in_flight.stopping = True
    for site in list(runner.sites):
        await site.stop()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await in_flight.none()


def check_limits(config: Config) -> Limits:
    """Raises the limit of open files, and tells what a process may have of connections. Raises StartError."""
    try:
        return limits_of(config, raise_descriptor_limit())
    except DescriptorsError as error:
        raise StartError(str(error)) from None


def greet(config: Config, listening: Listening, told: str | None, engine: str, say: Callable[[str], None]) -> None:
    """Says where the service is, and how to log in for the first time."""
    for each in listening.sockets:
        host, port = each.getsockname()[:2]
        scheme = "https" if config.tls_cert else "http"
        url = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
        say(f"postroom listens on {url} - API below {url}/api/v1, its description at {url}/docs")
    if listening.service_socket is not None:
        say(f"Without a login, /api/v1/service on the socket {listening.service_socket.path}")
    if listening.mail:
        say(f"For Postfix and Dovecot, the sockets {', '.join(str(each.path) for each in listening.mail.values())}")
    if told is not None:
        say(f"First start: log in as admin with the password {told}")
    say(f"Database: {shown(config.database)} ({engine}). Stop with Ctrl+C.")
