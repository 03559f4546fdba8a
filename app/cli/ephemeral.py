"""The options of `postroom serve` for tests of clients."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from postroom.app.cli import configured, output

Ephemeral = Annotated[bool, typer.Option("--ephemeral", help="For tests: everything in memory, with controls.")]
Seed = Annotated[Path | None, typer.Option(metavar="FILE", help="What it begins with; YAML or JSON.")]
ReadyFd = Annotated[int | None, typer.Option(min=0, metavar="N", help="Descriptor for a line of JSON when it answers.")]
ReadyFile = Annotated[Path | None, typer.Option(metavar="FILE", help="File for the same; appears when it answers.")]
Strict = Annotated[
    bool, typer.Option("--strict", help="Compare requests and responses with the description of the API.")
]
ExitWithStdin = Annotated[bool, typer.Option("--exit-with-stdin", help="End when stdin ends.")]
AllowRemoteControl = Annotated[
    bool, typer.Option("--allow-remote-control", help="Also on addresses that are not loopback: for containers.")
]


def refuse_without(given: Mapping[str, object]) -> None:
    """Ends the command when one of these options is given, which only --ephemeral has."""
    for name, value in given.items():
        if value is not None and value is not False:
            option = f"--{name.replace('_', '-')}"
            output.fail(f"{option} is for tests, and needs --ephemeral beside it", output.REFUSED)


def run(settings: Mapping[str, object], given: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Serves until it is stopped."""
    # Only here does the command reach the harness of tests.
    import uvloop

    from postroom.app.config import SettingError, read_settings
    from postroom.app.control import serving
    from postroom.app.server.binding import StartError
    from postroom.testing.errors import HarnessError

    try:
        # Not the usual settings file: that is of a service with a database.
        config = serving.config_of(read_settings(settings, file=configured.given()))
        uvloop.run(serving.run(config, serving.Options(**given), say))
    except (SettingError, StartError, HarnessError) as error:
        # A seed may have several mistakes.
        *lines, last = str(error).splitlines()
        for line in lines:
            output.complain(line)
        output.fail(last, output.REFUSED)
