"""The commands `postroom delegate ...`."""

from functools import partial
from typing import Annotated, Final

import typer

from postroom.app.cli import output, work
from postroom.app.cli.codes import CODES

_HELP = """Show and change who may send mail on behalf of a user; with --send-as, who may send as them.

\b
Examples:
  postroom delegate list anna@example.org
  postroom delegate add anna@example.org paul@example.org
  postroom delegate add info@example.org anna@example.org --send-as
"""

_LIST_HELP = f"""List who may send on behalf of a user, or as them.

\b
Examples:
  postroom delegate list anna@example.org
  postroom delegate list info@example.org --send-as --json
{CODES}"""

_ADD_HELP = f"""Let people send on behalf of a user, or as them.

\b
Examples:
  postroom delegate add anna@example.org paul@example.org
  postroom delegate add info@example.org anna@example.org --send-as
{CODES}"""

_REMOVE_HELP = f"""Take that away again: from all of them, or from none.

\b
Examples:
  postroom delegate remove anna@example.org paul@example.org
{CODES}"""

app = typer.Typer(name="delegate", no_args_is_help=True, rich_markup_mode=None, help=_HELP)

_FIELD: Final = "data"
_SendAs = Annotated[bool, typer.Option("--send-as", help="Those who may send as the user.")]
_People = Annotated[list[str], typer.Argument(metavar="ADDRESS...", min=1, help="People; - takes them from the input.")]


def _below(*, send_as: bool) -> str:
    return "/sendas" if send_as else "/delegates"


@app.command("list", help=_LIST_HELP)
def list_delegates(
    address: work.Address,
    send_as: _SendAs = False,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Lists delegates."""
    # Imported here and below, so that --help and wrong options respond at once.
    from postroom.app.cli import lists

    job = work.job_at(url, database, json=json)
    job.run(partial(lists.show, job, address, _below(send_as=send_as), _FIELD))


@app.command("add", help=_ADD_HELP)
def add(
    address: work.Address,
    people: _People,
    send_as: _SendAs = False,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Adds delegates."""
    from postroom.app.cli import lists

    job = work.job_at(url, database, json=json)
    job.run(partial(lists.add, job, address, _below(send_as=send_as), _FIELD, job.names(people)))


@app.command("remove", help=_REMOVE_HELP)
def remove(
    address: work.Address,
    people: _People,
    send_as: _SendAs = False,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Removes delegates."""
    from postroom.app.cli import lists

    job = work.job_at(url, database, json=json)
    job.run(partial(lists.remove, job, address, _below(send_as=send_as), _FIELD, job.names(people)))
