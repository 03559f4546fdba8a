"""The settings of a command: its options, the environment, and the file that `--config FILE` names."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated

import typer

from postroom.app.cli import output

if TYPE_CHECKING:
    from postroom.app.config import Config

File = Annotated[
    str | None,
    typer.Option("--config", metavar="FILE", help="Settings file [POSTROOM_CONFIG, /etc/postroom/postroom.toml]."),
]

_GIVEN: ContextVar[str | None] = ContextVar("_GIVEN", default=None)


def use_file(given: str | None) -> None:
    """What this process loads from now on comes from this file; None: from the usual one."""
    if given == "":
        # More likely a variable without a value than the wish for the usual file.
        output.fail("--config: name a file", output.REFUSED)
    _GIVEN.set(given)


def given() -> str | None:
    """What was named so."""
    return _GIVEN.get()


def file() -> str | None:
    """The settings file, if there is one."""
    from postroom.app.config import settings_file

    return settings_file(given())


def load(options: Mapping[str, object] | None = None) -> "Config":
    """The settings for this command. Raises SettingError."""
    # Imported here, so that --help and wrong options respond at once.
    from postroom.app.config import load_config

    return load_config(options, file=file())
