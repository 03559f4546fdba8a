"""The commands `postroom access ...`."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from postroom.app.cli import output, work
from postroom.app.cli.codes import CODES, EACH

if TYPE_CHECKING:
    from postroom.app.cli.api import Api

_HELP = """Show and change who may open the mailbox of a user.

\b
Examples:
  postroom access list info@example.org
  postroom access add info@example.org anna@example.org paul@example.org
"""

_LIST_HELP = f"""List who may open the mailbox of a user.

\b
Examples:
  postroom access list info@example.org
{CODES}"""

_ADD_HELP = f"""Let users of the same organisation open the mailbox.

\b
Examples:
  postroom access add info@example.org anna@example.org paul@example.org
{EACH}"""

_REMOVE_HELP = f"""Take the access of users away.

\b
Examples:
  postroom access remove info@example.org paul@example.org
{EACH}"""

app = typer.Typer(name="access", no_args_is_help=True, rich_markup_mode=None, help=_HELP)

_Members = Annotated[list[str], typer.Argument(metavar="MEMBER...", min=1, help="Users; - takes them from the input.")]


@app.command("list", help=_LIST_HELP)
def list_members(
    address: work.Address, json: output.Json = False, url: work.Url = None, database: output.Database = None
) -> None:
    """Lists who has access."""
    job = work.job_at(url, database, json=json)

    async def do(api: "Api") -> None:
        from postroom.app.cli import names

        user = await names.find_user(api, address)
        page = await api.get(f"{user.path}/storeAccess")
        rows = [(each["username"], each["displayName"]) for each in page["data"]]
        job.show_page("users with access", page, ("ADDRESS", "NAME"), rows)

    job.run(do)


@app.command("add", help=_ADD_HELP)
def add(
    address: work.Address,
    members: _Members,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Gives access."""
    job = work.job_at(url, database, json=json)
    job.run_each(job.names(members), partial(_add, address))


@app.command("remove", help=_REMOVE_HELP)
def remove(
    address: work.Address,
    members: _Members,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Takes access away."""
    job = work.job_at(url, database, json=json)
    job.run_each(job.names(members), partial(_remove, address))


async def _add(address: str, api: "Api", member: str) -> str:
    from postroom.app.cli import names

    owner = await names.find_user(api, address)
    await api.post(f"{owner.path}/storeAccess", {"username": member})
    return f"{member} may open the mailbox of {owner.username}"


async def _remove(address: str, api: "Api", member: str) -> str:
    from postroom.app.cli import names

    owner = await names.find_user(api, address)
    await api.delete(f"{owner.path}/storeAccess/{names.part(member)}")
    return f"{member} may not open the mailbox of {owner.username} any more"
