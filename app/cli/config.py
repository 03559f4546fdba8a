"""The commands `postroom config ...`, which show the settings."""

import typer

from postroom.app.cli import configured, output

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
    from postroom.app.services.shown_settings import rows

    file = configured.file()
    read = read_settings(file=file)
    faults = [*read.faults, *(f"{name}: there is no such setting, so nothing reads it" for name in list_unknown())]
    if json:
        output.print_json(_summary(faults), {"file": file, "settings": rows(read.settings), "faults": faults})
    else:
        table = output.new_table("SETTING", "VALUE", "FROM")
        for row in rows(read.settings):
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


def _clean(text: str) -> str:
    from postroom.schemas.values.text import printable

    return printable(text)
