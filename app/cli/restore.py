"""The command `postroom restore`, which puts a backup in the place of the database."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from postroom.app.cli import configured, output
from postroom.app.cli.backup import run
from postroom.app.cli.backup_views import show_restored

if TYPE_CHECKING:
    from postroom.storage.backups.restoring import Restored
    from postroom.storage.progress import Report

HELP = """Put a backup in the place of the database.

The service has to be stopped. FILE is a backup of `postroom backup`; it is checked first, and a damaged one is refused.
The database gets all of it or, if the command fails or is killed, stays as it was. The database from before is kept
beside the new one, with the time in its name. A PostgreSQL database has to be empty.

What is not as it was at the time of the backup: everybody has to log in again; tokens for programs stay valid only if
the database from before still has them; tasks of then are marked as interrupted; and the IDs of what was made since
then are not given again.

With --at, FILE is a replica of `postroom backup replicate`, a folder or a URL, and the database gets the state from
just before that second: TIME is a whole second with its zone, how long ago (90s, 10m, 2h, 3d), or `latest`. Stop
Litestream as well as the service.

The key file has to be the one of the backup. A copy of it beside the backup (--with-key) is used if it is missing.

\b
Examples:
  postroom restore /srv/backups/postroom-20260131T030000Z.sqlite3
  postroom restore backup.sqlite3 --yes --database /var/lib/postroom/postroom.sqlite3
  postroom restore postroom.sqlite3.schema-11.backup --unchecked
  postroom restore backup.sqlite3 --without-secrets
  postroom restore /mnt/backup/postroom --at 2026-01-31T12:00:00Z
  postroom restore s3://backups/postroom --at 10m

\b
Exit codes:
  0    restored
  1    the backup is damaged
  2    wrong usage or settings, or refused; trying again does not help
  3    something is unavailable, in use or full; trying again may help
  130  interrupted, or answered with no"""


def restore(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The backup.")],
    at: Annotated[str | None, typer.Option(metavar="TIME", help="Restore a replica as it was then.")] = None,
    yes: output.Yes = False,
    unchecked: Annotated[bool, typer.Option("--unchecked", help="Accept a file without a manifest.")] = False,
    without_secrets: Annotated[
        bool, typer.Option("--without-secrets", help="Delete the secrets that the key file does not open.")
    ] = False,
    keep_tokens: Annotated[
        bool, typer.Option("--keep-tokens", help="Keep tokens for programs that may have been revoked since.")
    ] = False,
    database: output.Database = None,
    json: output.Json = False,
) -> None:
    """Restores a backup."""

    def work(report: "Report") -> "tuple[str, Restored, str | None]":
        # Imported here, so that --help and wrong options respond at once.
        from postroom.app.cli.author import named
        from postroom.app.config import forget_environment
        from postroom.storage.backups import replicating, restoring
        from postroom.storage.urls import shown

        config = configured.load({"database": database})
        forget_environment()
        order = restoring.Order(
            Path(file), config.database, config.key_file, not unchecked, not without_secrets, keep_tokens
        )
        wanted = None if at is None else replicating.find(file, at)
        if not yes and Path(config.database).exists():
            _ask(config.database, json=json)
        with named("restore"):
            if wanted is None:
                return shown(config.database), restoring.restore(order, report), None
            return shown(config.database), *replicating.restore(order, wanted, report)

    name, restored, time = run(work, json=json)
    show_restored(file, name, restored, json=json, time=time)


def _ask(database: str, *, json: bool) -> None:
    if not sys.stdin.isatty():
        output.fail("There is no terminal to ask on: add --yes", output.REFUSED, json=json)
    if not output.agreed(f"Replace the database {database}?"):
        raise typer.Exit(output.INTERRUPTED)
