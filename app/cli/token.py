"""The options and help of the commands `postroom token ...`; token_commands.py runs them."""

import sys
from typing import Annotated

import typer

from postroom.app.cli import output

_CODES = """
\b
Exit codes:
  0    done
  2    wrong usage or settings, or refused; trying again does not help
  3    the database is unavailable; trying again may help
  70   a bug in postroom"""

_HELP = """Make, list and revoke tokens for programs. Uses the database directly, also while the service runs.

A token allows what its owner may do at each moment, limited further by the options. docs/tokens.md has more.

\b
Examples:
  postroom token create export --owner admin --read-only
  postroom token list
  postroom token revoke 7
"""

_CREATE_HELP = f"""Make a token and print it. It is shown this once.

NAME says what the token is for. A PERMISSION is that of a role, where it applies behind a colon: a domain by name or
ID, an organisation by name or ID, or "*" for all.

\b
Examples:
  postroom token create export --owner admin --permission DomainAdminRO:example.com --read-only
  postroom token create import --owner admin --permission DomainAdmin:1 --network 192.0.2.0/24 --days 30
  postroom token create backup --owner admin --never --json | jq -r .data.token
{_CODES}
"""

_LIST_HELP = f"""List tokens, without their texts.

\b
Examples:
  postroom token list
  postroom token list --owner jane@example.com --json | jq '.data[].lastUsed'
{_CODES}
"""

_REVOKE_HELP = f"""Revoke tokens. Each ends at once, also for requests that are under way.

\b
Examples:
  postroom token revoke 7
  postroom token revoke 7 8 9
{_CODES}
"""

app = typer.Typer(name="token", no_args_is_help=True, rich_markup_mode=None, help=_HELP)

_Days = Annotated[int | None, typer.Option("--days", min=1, max=3650, help="Days until it expires [365].")]
_Permissions = Annotated[
    list[str] | None, typer.Option("--permission", metavar="PERMISSION[:WHERE]", help="What it is limited to.")
]
_Networks = Annotated[list[str] | None, typer.Option("--network", help="Where it may be used from [anywhere].")]


@app.command("create", help=_CREATE_HELP)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the token is for.")],
    owner: Annotated[str, typer.Option("--owner", metavar="USERNAME", help="Whose rights it has.")],
    permission: _Permissions = None,
    network: _Networks = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="It may only read.")] = False,
    days: _Days = None,
    never: Annotated[bool, typer.Option("--never", help="It never expires.")] = False,
    json: output.Json = False,
    database: output.Database = None,
) -> None:
    """Makes a token."""
    # Imported here and below, so that --help and wrong options respond at once.
    from postroom.app.cli import token_commands

    if never and days is not None:
        raise typer.BadParameter("Give --days or --never, not both.")
    wanted = token_commands.Wanted(name, owner, permission or [], network or [], read_only, days, never)
    sys.exit(token_commands.create(wanted, database, json=json))


@app.command("list", help=_LIST_HELP)
def list_tokens(
    owner: Annotated[str | None, typer.Option("--owner", metavar="USERNAME", help="Only those of this user.")] = None,
    json: output.Json = False,
    database: output.Database = None,
) -> None:
    """Lists tokens."""
    from postroom.app.cli import token_commands

    sys.exit(token_commands.show(owner, database, json=json))


@app.command("revoke", help=_REVOKE_HELP)
def revoke(
    token_id: Annotated[list[int], typer.Argument(metavar="ID...", min=1, help="IDs, as `list` shows them.")],
    database: output.Database = None,
) -> None:
    """Revokes tokens."""
    from postroom.app.cli import token_commands

    sys.exit(token_commands.revoke(token_id, database))
