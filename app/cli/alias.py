"""The commands `postroom alias ...`."""

from functools import partial
from typing import Annotated, Final

import typer

from postroom.app.cli import output, work
from postroom.app.cli.codes import CODES

_HELP = """Show and change the aliases of a user: further addresses at which they get mail and log in.

\b
Examples:
  postroom alias list anna@example.org
  postroom alias add anna@example.org info@example.org
"""

_LIST_HELP = f"""List the aliases of a user.

\b
Examples:
  postroom alias list anna@example.org
{CODES}"""

_ADD_HELP = f"""Add aliases: all of them, or none if one is not possible.

\b
Examples:
  postroom alias add anna@example.org a.schmidt@example.org schmidt@example.org
{CODES}"""

_REMOVE_HELP = f"""Remove aliases: all of them, or none. They are free for others at once.

\b
Examples:
  postroom alias remove anna@example.org schmidt@example.org
{CODES}"""

app = typer.Typer(name="alias", no_args_is_help=True, rich_markup_mode=None, help=_HELP)

_FIELD: Final = "aliases"
_Aliases = Annotated[list[str], typer.Argument(metavar="ALIAS...", min=1, help="Aliases; - takes them from the input.")]


@app.command("list", help=_LIST_HELP)
def list_aliases(
    address: work.Address, json: output.Json = False, url: work.Url = None, database: output.Database = None
) -> None:
    """Lists aliases."""
    # Imported here and below, so that --help and wrong options respond at once.
    from postroom.app.cli import lists

    job = work.job_at(url, database, json=json)
    job.run(partial(lists.show, job, address, "", _FIELD))


@app.command("add", help=_ADD_HELP)
def add(
    address: work.Address,
    aliases: _Aliases,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Adds aliases."""
    from postroom.app.cli import lists

    job = work.job_at(url, database, json=json)
    job.run(partial(lists.add, job, address, "", _FIELD, job.names(aliases)))


@app.command("remove", help=_REMOVE_HELP)
def remove(
    address: work.Address,
    aliases: _Aliases,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Removes aliases."""
    from postroom.app.cli import lists

    job = work.job_at(url, database, json=json)
    job.run(partial(lists.remove, job, address, "", _FIELD, job.names(aliases)))
