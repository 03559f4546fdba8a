"""The commands `postroom org ...`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.app.cli import output, tables, work
from postroom.app.cli.codes import CODES, EACH

if TYPE_CHECKING:
    from postroom.app.cli.api import Api

_HELP = """Create, show, change and delete organisations. A domain gets into one by `postroom domain set --org`.

\b
Examples:
  postroom org create "Example Ltd"
  postroom domain set example.org --org "Example Ltd"
  postroom org show "Example Ltd"
"""

_LIST_HELP = f"""List organisations.

\b
Examples:
  postroom org list
  postroom org list --match example
{CODES}"""

_SHOW_HELP = f"""Show an organisation and its domains.

\b
Examples:
  postroom org show "Example Ltd"
{CODES}"""

_CREATE_HELP = f"""Create an organisation.

\b
Examples:
  postroom org create "Example Ltd" --description "Our first customer"
{CODES}"""

_SET_HELP = f"""Change the name or the description of an organisation.

\b
Examples:
  postroom org set "Example Ltd" --name "Example plc"
{CODES}"""

_DELETE_HELP = f"""Delete organisations. Their domains stay, and belong to none.

\b
Examples:
  postroom org delete "Example Ltd"
{EACH}"""

app = typer.Typer(name="org", no_args_is_help=True, rich_markup_mode=None, help=_HELP)

_Org = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
_Description = Annotated[str | None, typer.Option("--description", help="What it is.")]


@app.command("list", help=_LIST_HELP)
def list_orgs(
    match: Annotated[str, typer.Option("--match", metavar="WORDS", help="Only those that match all words.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most organisations.")] = 50,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Lists organisations."""
    job = work.job_at(url, database, json=json)

    async def do(api: "Api") -> None:
        page = await api.get("/system/orgs", match=match, limit=limit, sort="name")
        rows = [(each["ID"], each["name"], each["domainCount"], each["description"]) for each in page["data"]]
        job.show_page("organisations", page, ("ID", "NAME", "DOMAINS", "DESCRIPTION"), rows)

    job.run(do)


@app.command("show", help=_SHOW_HELP)
def show(org: _Org, json: output.Json = False, url: work.Url = None, database: output.Database = None) -> None:
    """Shows an organisation."""
    job = work.job_at(url, database, json=json)

    async def do(api: "Api") -> None:
        from postroom.app.cli import names

        found = await names.find_org(api, org)
        document = await api.get(f"/system/orgs/{found.id}")
        if job.json:
            job.tell(found.name, document)
            return
        domains = [domain["displayname"] for domain in document["domains"]]
        tables.show_fields(
            {"Name": found.name, "ID": found.id, "Description": document["description"], "Domains": domains}
        )

    job.run(do)


@app.command("create", help=_CREATE_HELP)
def create(
    name: _Org,
    description: _Description = None,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Creates an organisation."""
    job = work.job_at(url, database, json=json)

    async def do(api: "Api") -> None:
        document = await api.post("/system/orgs", {"name": name, "description": description})
        job.tell(f"The organisation {document['name']} has been created", document)

    job.run(do)


@app.command("set", help=_SET_HELP)
def change(
    org: _Org,
    name: Annotated[str | None, typer.Option("--name", help="The new name.")] = None,
    description: _Description = None,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Changes an organisation."""
    job = work.job_at(url, database, json=json)
    given: dict[str, Any] = {"name": name, "description": description}
    body = {field: value for field, value in given.items() if value is not None}
    if not body:
        job.fail("There is nothing to change: give --name or --description")

    async def do(api: "Api") -> None:
        from postroom.app.cli import names

        found = await names.find_org(api, org)
        document = await api.patch(f"/system/orgs/{found.id}", body)
        job.tell(f"The organisation {document['name']} has been changed", document)

    job.run(do)


@app.command("delete", help=_DELETE_HELP)
def delete(
    orgs: Annotated[list[str], typer.Argument(metavar="NAME...", min=1, show_default=False)],
    yes: output.Yes = False,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Deletes organisations."""
    job = work.job_at(url, database, json=json)
    found = job.names(orgs)
    job.confirm(f"Delete {work.listed(found)}? The domains stay.", yes=yes)

    async def do(api: "Api", name: str) -> str:
        from postroom.app.cli import names

        org = await names.find_org(api, name)
        await api.delete(f"/system/orgs/{org.id}")
        return f"The organisation {org.name} has been deleted"

    job.run_each(found, do)
