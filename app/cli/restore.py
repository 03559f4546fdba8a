"""The command `postroom restore`, which puts a backup in the place of the database."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from postroom.app.cli.backup import run
from postroom.app.cli.backup_views import INTERRUPTED, REFUSED, fail, show_restored

if TYPE_CHECKING:
    from postroom.storage.backups.copying import Report

HELP = """Put a backup in the place of the database.

The service has to be stopped. FILE is a backup of `postroom backup`; it is checked first, and a damaged one is refused.
The database gets all of it or, if the command fails or is killed, stays as it was. The database from before is kept
beside the new one, with the time in its name. A PostgreSQL database has to be empty.

What is not as it was at the time of the backup: everybody has to log in again; tokens for programs stay valid only if
the database from before still has them; tasks of then are marked as interrupted; and the IDs of what was made since
then are not given again.

The key file has to be the one of the backup. A copy of it beside the backup (--with-key) is used if it is missing.

\b
Examples:
  postroom restore /srv/backups/postroom-20260131T030000Z.sqlite3
  postroom restore backup.sqlite3 --yes --database /var/lib/postroom/postroom.sqlite3
  postroom restore postroom.sqlite3.schema-11.backup --unchecked
  postroom restore backup.sqlite3 --without-secrets

\b
Exit codes:
  0    restored
  1    the backup is damaged
  2    wrong usage or settings, or refused; trying again does not help
  3    something is unavailable, in use or full; trying again may help
  130  interrupted, or answered with no"""


def restore(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The backup.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    unchecked: Annotated[bool, typer.Option("--unchecked", help="Accept a file without a manifest.")] = False,
    without_secrets: Annotated[
        bool, typer.Option("--without-secrets", help="Delete the secrets that the key file does not open.")
    ] = False,
    keep_tokens: Annotated[
        bool, typer.Option("--keep-tokens", help="Keep tokens for programs that may have been revoked since.")
    ] = False,
    database: Annotated[
        str | None, typer.Option("--database", metavar="FILE", help="SQLite file or URL [POSTROOM_DATABASE].")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Restores a backup."""

    def work(report: "Report") -> None:
        # Imported here, so that --help and wrong options respond at once.
        from postroom.app.config import load_config
        from postroom.storage.backups import restoring
        from postroom.storage.urls import shown

        config = load_config({"database": database})
        order = restoring.Order(
            Path(file), config.database, config.key_file, not unchecked, not without_secrets, keep_tokens
        )
        if not yes and Path(config.database).exists():
            _ask(config.database, json=json)
        show_restored(order.backup, shown(config.database), restoring.restore(order, report), json=json)

    run(work, json=json)


def _ask(database: str, *, json: bool) -> None:
    if not sys.stdin.isatty():
        fail("There is no terminal to ask on: add --yes", REFUSED, json=json)
    try:
        agreed = typer.confirm(f"Replace the database {database}?", err=True)
    except typer.Abort:
        agreed = False
    if not agreed:
        raise typer.Exit(INTERRUPTED)
