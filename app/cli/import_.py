"""The command `postroom import`, which stores what files or another installation have."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from postroom.app.cli import output

HELP = """Store what a file has: lines as `postroom export` writes them, a table (CSV), or a folder of tables.

SOURCE is a file of lines, a file that ends in .csv or .tsv, a folder with users.csv and others, or - for lines from
the input. A table may come from a spreadsheet: its first line names the columns, such as username, password,
properties.displayname, aliases (with spaces between several); commas, semicolons or tabs divide them.

In a database without any people, everything gets the IDs, times and histories of the export. In another one, it is
added with new IDs. What breaks a rule is refused by itself, named with its line, and kept in a file or folder beside
SOURCE (or --rejected), which can be corrected and given again. Hashes of passwords may come from elsewhere
(docs/moving-in.md has the forms).

--from takes an installation of the same API in place of SOURCE. It tells no passwords: they have to be set anew.

--dry-run tries everything and keeps nothing; meanwhile nobody else can write.

\b
Examples:
  postroom import people.ndjson
  postroom import users.csv --dry-run
  postroom import people --rejected again
  postroom export --secrets | ssh mail.example.org postroom import -
  postroom import --from https://old.example.org --user admin
\b
Exit codes:
  0    everything was stored
  1    something was refused
  2    wrong usage, settings or files; trying again does not help
  3    the database or the installation is unavailable; trying again may help
  130  interrupted; whole lines are stored, up to the one that is named"""


def import_(
    source: Annotated[
        str | None, typer.Argument(metavar="SOURCE", help="File, folder, or -.", show_default=False)
    ] = None,
    *,
    url: Annotated[str | None, typer.Option("--from", metavar="URL", help="An installation of the same API.")] = None,
    user: Annotated[str, typer.Option("--user", metavar="NAME", help="Who logs in there; asks for the password.")] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Take that password from the first line of the input.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Try everything, keep nothing.")] = False,
    rejected: Annotated[
        Path | None, typer.Option("--rejected", metavar="PATH", help="Where to keep what is refused.")
    ] = None,
    encoding: Annotated[str, typer.Option("--encoding", help="Of tables, such as latin-1.")] = "utf-8",
    json: output.Json = False,
    database: output.Database = None,
) -> None:
    """Imports everything."""
    if (source is None) == (url is None):
        output.fail("Name a file or folder, or an installation with --from", output.REFUSED, json=json)
    # Imported here, so that --help and wrong options respond at once.
    from postroom.app.cli.import_work import Order, run

    order = Order(source, url, user, password_stdin, dry_run, rejected, encoding)
    sys.exit(run(order, database, json=json))
