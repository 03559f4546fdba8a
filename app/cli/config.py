"""The commands `postroom config ...`, which show the settings."""

from datetime import time, timedelta
from typing import TYPE_CHECKING, Any

import typer

from postroom.app.cli import configured, output

if TYPE_CHECKING:
    from postroom.app.config import Setting

_HELP = """Show the settings.

\b
Examples:
  postroom config check                                    each setting, and where its value comes from
  postroom config example > postroom.toml                  a settings file with all settings, to begin with
"""

_CHECK_HELP = """Show each setting, its value, and where it comes from; and all that is wrong with them.

Secrets are not shown. Options of `postroom serve` are not known here.

\b
Examples:
  postroom config check
  postroom --config postroom.toml config check
  postroom config check --json | jq '.data.settings[] | select(.source != "default")'

\b
Exit codes:
  0    the service can start with these settings
  1    something is wrong with them"""

_EXAMPLE_HELP = """Print a settings file with all settings, their defaults and what they mean. All are commented out.

\b
Examples:
  postroom config example > postroom.toml
  postroom config example | grep timeout"""

app = typer.Typer(name="config", no_args_is_help=True, rich_markup_mode=None, help=_HELP)


@app.command("check", help=_CHECK_HELP)
def check(json: output.Json = False) -> None:
    """Checks the settings."""
    from postroom.app.config import list_unknown, read_settings

    file = configured.file()
    read = read_settings(file=file)
    faults = [*read.faults, *(f"{name}: there is no such setting, so nothing reads it" for name in list_unknown())]
    if json:
        output.print_json(_summary(faults), {"file": file, "settings": _rows(read.settings), "faults": faults})
    else:
        table = output.new_table("SETTING", "VALUE", "FROM")
        for row in _rows(read.settings):
            table.add_row(row["name"], _clean(row["value"]), row["source"])
        output.console().print(table)
        typer.echo(f"Settings file: {file or 'none'}")
        for fault in faults:
            typer.echo(f"postroom: {_clean(fault)}", err=True)
        typer.echo(_summary(faults))
    raise typer.Exit(output.NOTICED if faults else output.FINE)


@app.command("example", help=_EXAMPLE_HELP)
def example() -> None:
    """Prints the example."""
    # Imported here, so that --help responds at once.
    from importlib.resources import files

    typer.echo(files("postroom.app").joinpath("example.toml").read_text("utf-8"), nl=False)


def _summary(faults: list[str]) -> str:
    return f"Wrong: {len(faults)}." if faults else "The settings are valid."


def _rows(settings: "list[Setting]") -> list[dict[str, Any]]:
    return [{"name": each.name, "value": _shown(each), "source": each.source} for each in settings]


def _shown(setting: "Setting") -> str:
    """The value as it would be written, unless it is a secret."""
    from postroom.app.sources import is_secret
    from postroom.storage.urls import shown

    if setting.text is None:
        return _text(setting.value)
    if not is_secret(setting.name, setting.text):
        return setting.text
    return " ".join(map(shown, setting.text.split())) if "://" in setting.text else "(not shown)"


def _text(value: Any) -> str:
    """The value of a default as it would be written; empty for none."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case timedelta():
            return f"{value // timedelta(hours=1)}h"
        case time():
            return f"{value:%H:%M}"
        case dict():
            return ",".join(f"{number}{unit}" for unit, number in value.items())
        case tuple() | frozenset():
            return ",".join(map(str, value))
    return str(value)


def _clean(text: str) -> str:
    from postroom.schemas.values.text import printable

    return printable(text)
