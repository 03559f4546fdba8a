"""The options and help of the commands `postroom ldap ...`; ldap_commands.py runs them."""

import sys
from typing import Annotated

import typer

from postroom.app.cli import output

_CODES = """
\b
Exit codes:
  0    fine; diff: nothing to do
  1    something was skipped with a reason; diff: there is something to do
  2    wrong usage or settings, or refused; trying again does not help
  3    the directory or the database is unavailable; trying again may help
  70   a bug in postroom
  130  interrupted, or answered with no"""

_HELP = f"""Work with the directory. Uses the database file directly, also while the service runs.

\b
Examples:
  postroom ldap test                           does the configured directory answer, and what does it hold?
  postroom ldap search anna                    who can be imported?
  postroom ldap diff --import                  what would a sync do?
  postroom ldap sync --import --yes            do it, for example every hour
{_CODES}
"""

_TEST_HELP = f"""Try the configured directory: connect, bind, base DN, filters, first page, one entry as a user.

\b
Examples:
  postroom ldap test
  postroom ldap test --org "Example Ltd"
{_CODES}
"""

_SEARCH_HELP = f"""Look for people in the directory who can be imported.

TERM is any part of a search attribute, of at least three characters.

\b
Examples:
  postroom ldap search schmidt
  postroom ldap search schmidt --all --limit 200      also people who cannot be imported, and why
  postroom ldap search schmidt --json | jq -r '.data[].ID'
{_CODES}
"""

_DIFF_HELP = f"""Show what a sync would do. Nothing is changed.

\b
Examples:
  postroom ldap diff
  postroom ldap diff --import --unlink --domain example.com
  postroom ldap diff --json | jq '.data[] | select(.action != "unchanged")'
{_CODES}
"""

_SYNC_HELP = f"""Bring the linked users up to date from the directory.

With --import, people who are not users yet become users. With --unlink, users whose object is gone lose their link to
it. On a terminal, the command first counts the changes and asks you; with --yes or without a terminal (cron) it does
not ask. Ctrl+C stops it; changes made so far are kept.

\b
Examples:
  postroom ldap sync
  postroom ldap sync --import --lang de --domain example.com
  postroom ldap sync --import --unlink --yes --json >result.json
{_CODES}
"""

_IMPORT_HELP = f"""Make a user of one object of the directory, or update the user who is linked to it.

OBJECT_ID is the ID that search shows; quote it, because it may hold backslashes.

\b
Examples:
  postroom ldap import '5e6f\\2d77'
  postroom ldap import '5e6f\\2d77' --force           also link an existing user of that name
{_CODES}
"""

app = typer.Typer(name="ldap", no_args_is_help=True, rich_markup_mode=None, help=_HELP)

_Domain = Annotated[str | None, typer.Option("--domain", metavar="NAME", help="Only the users of this domain.")]
_Org = Annotated[
    str | None,
    typer.Option("--org", metavar="NAME", help="Only users in this organisation's domains; 0: in domains without one."),
]
_Import = Annotated[bool, typer.Option("--import/--no-import", help="Make users of people who are not users yet.")]
_Unlink = Annotated[bool, typer.Option("--unlink", help="Remove the link of users whose object is gone.")]
_Lang = Annotated[str, typer.Option("--lang", metavar="LANG", help="Language of users who have none, such as de_DE.")]


@app.command("test", help=_TEST_HELP)
def try_out(
    org: Annotated[
        str | None, typer.Option("--org", metavar="NAME", help="Try the directory of this organisation.")
    ] = None,
    database: output.Database = None,
) -> None:
    """Tries the directory."""
    # Imported here and below, so that --help and wrong options respond at once.
    from postroom.app.cli import ldap_commands as commands

    raise typer.Exit(commands.run(lambda context, view: commands.try_out(context, view, org), database))


@app.command("search", help=_SEARCH_HELP)
def search(
    term: Annotated[str, typer.Argument(metavar="TERM", show_default=False)],
    domain: _Domain = None,
    org: _Org = None,
    show_all: Annotated[bool, typer.Option("--all", help="Also show people who cannot be imported, and why.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Most people to show.")] = 50,
    json: output.Json = False,
    database: output.Database = None,
) -> None:
    """Looks for people."""
    from postroom.app.cli import ldap_commands as commands
    from postroom.app.cli import ldap_requests as requests

    asked = requests.Search(term, domain, org, limit, show_all)
    raise typer.Exit(commands.run(lambda context, view: commands.search(context, view, asked), database, json=json))


@app.command("diff", help=_DIFF_HELP)
def diff(
    domain: _Domain = None,
    org: _Org = None,
    create: _Import = False,
    unlink: _Unlink = False,
    json: output.Json = False,
    database: output.Database = None,
) -> None:
    """Shows the plan."""
    from postroom.app.cli import ldap_commands as commands
    from postroom.app.cli import ldap_requests as requests

    asked = requests.Sync(domain, org, create=create, unlink=unlink)
    raise typer.Exit(commands.run(lambda context, view: commands.diff(context, view, asked), database, json=json))


@app.command("sync", help=_SYNC_HELP)
def sync(
    domain: _Domain = None,
    org: _Org = None,
    create: _Import = False,
    unlink: _Unlink = False,
    force: Annotated[bool, typer.Option("--force", help="Unlink even if very many objects are gone.")] = False,
    lang: _Lang = "",
    yes: output.Yes = False,
    json: output.Json = False,
    database: output.Database = None,
) -> None:
    """Asks on a terminal, then runs the sync."""
    from postroom.app.cli import ldap_commands as commands
    from postroom.app.cli import ldap_requests as requests

    asked = requests.Sync(domain, org, create=create, unlink=unlink, force=force, lang=lang)
    if not yes and sys.stdin.isatty() and sys.stderr.isatty():
        plan = requests.Plan()
        code = commands.run(lambda context, view: commands.count(context, view, asked, plan), database, json=json)
        if not plan.changes:
            raise typer.Exit(code)
        if not output.agreed("Go ahead?"):
            raise typer.Exit(output.INTERRUPTED)
    raise typer.Exit(commands.run(lambda context, view: commands.sync(context, view, asked), database, json=json))


@app.command("import", help=_IMPORT_HELP)
def import_user(
    object_id: Annotated[str, typer.Argument(metavar="OBJECT_ID", show_default=False)],
    domain: _Domain = None,
    org: _Org = None,
    force: Annotated[bool, typer.Option("--force", help="Also link an existing user of that name.")] = False,
    lang: _Lang = "",
    database: output.Database = None,
) -> None:
    """Imports one person."""
    from postroom.app.cli import ldap_commands as commands
    from postroom.app.cli import ldap_requests as requests

    asked = requests.Import(object_id, domain, org, force, lang)
    raise typer.Exit(commands.run(lambda context, view: commands.import_user(context, view, asked), database))
