"""`postroom serve --ephemeral`: a server of `postroom.testing` for programs in any language."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from postroom.app.config import Config, Settings
from postroom.app.control.addresses import check_hosts
from postroom.app.control.ready import Ready
from postroom.app.control.routes import BESIDE
from postroom.app.routes import BASE as API
from postroom.app.server.binding import StartError, bound
from postroom.app.server.serve import ending_of, greet
from postroom.app.sources import PREFIX
from postroom.storage.connections import IN_MEMORY
from postroom.testing.clock import MovableClock
from postroom.testing.images import beginning
from postroom.testing.journal import CONTROLS
from postroom.testing.listening import OnSockets
from postroom.testing.passwords import PASSWORD
from postroom.testing.seeds import ReadSeed
from postroom.testing.server import Server
from postroom.testing.settings import FIXED

_STDIN: Final = 0


@dataclass(frozen=True, slots=True)
class Options:
    """The options that only such a server has."""

    seed: Path | None = None
    ready_fd: int | None = None
    ready_file: Path | None = None
    strict: bool = False
    exit_with_stdin: bool = False
    allow_remote_control: bool = False


async def run(config: Config, options: Options, say: Callable[[str], None]) -> None:
    """Serves until SIGINT, SIGTERM or, if asked for, the end of stdin. Cuts off requests in flight.

    `say` gets lines for people, unless a program is told. Raises StartError, HarnessError.
    """
    hosts = check_hosts(config.host, remote=options.allow_remote_control)
    ready = Ready(options.ready_fd, options.ready_file)
    seed, clock = ReadSeed(options.seed), MovableClock(config.timezone)
    with (
        bound(replace(config, host=hosts)) as (listening,),
        ready.file(),
        ending_of(config, _STDIN if options.exit_with_stdin else None) as (stop, _),
    ):
        image = await beginning(config, seed, clock)
        server = Server(config, image, clock, strict=options.strict, beside=BESIDE)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(server.close)
            await server.start(OnSockets(listening.sockets))
            if ready:
                ready.tell(described(server, config))
            else:
                say("For tests: everything is gone at the end, and whoever reaches this can control it")
                say(f"Controls below {server.url}{CONTROLS}, their description at {server.url}{CONTROLS}/openapi.json")
                greet(config, listening, config.admin_password, server.context.database.engine, say)
            await stop.wait()


def described(server: Server, config: Config) -> dict[str, object]:
    """How to reach a server, and its first login."""
    admin = {"user": "admin", "password": config.admin_password, "token": server.admin.token}
    return {"url": server.url, "api": server.url + API, "controls": server.url + CONTROLS, "admin": admin}


def config_of(settings: Settings) -> Config:
    """The settings for such a server. Raises StartError, SettingError."""
    for each in settings.settings:
        if each.name in FIXED - {"host", "port"} and each.source != "default":
            variable, option = f"{PREFIX}{each.name.upper()}", f"--{each.name.replace('_', '-')}"
            raise StartError(
                "--ephemeral keeps everything in memory, in one process, without TLS: leave out "
                f"{option if each.source == 'option' else variable}"
            )
    config = settings.config
    return replace(config, database=IN_MEMORY, admin_password=config.admin_password or PASSWORD)
