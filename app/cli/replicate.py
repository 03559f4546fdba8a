"""The command `postroom backup replicate`, which sets up a replica that Litestream writes all the time."""

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from postroom.app.cli import configured
from postroom.app.cli.backup import run

if TYPE_CHECKING:
    from postroom.storage.progress import Report

HELP = """Set up a replica that is written all the time, from which any second can be restored.

Writes the configuration of Litestream (pip install 'postroom[replica]') beside the database, <database>.litestream.yml,
and says how to run it. It is a program of its own, which runs beside the service. `postroom restore TARGET --at TIME`
restores from the replica.

TARGET is a folder, best on another disk or machine, or a URL: s3://bucket/path, sftp://user@host/path, gs://, abs://,
oss://, webdav://, nats://. Keys for it come from the environment, such as AWS_ACCESS_KEY_ID.

\b
Examples:
  postroom backup replicate --to /mnt/backup/postroom
  postroom backup replicate --to /mnt/backup/postroom --run
  postroom backup replicate --to s3://backups/postroom --keep 14d --unit > /etc/systemd/system/postroom-replica.service

\b
Exit codes:
  0    the configuration is written
  2    wrong usage or settings, or refused; trying again does not help
  3    something is unavailable or full; trying again may help
  130  interrupted
With --run, those of Litestream."""


def replicate(
    to: Annotated[str, typer.Option("--to", metavar="TARGET", help="A folder or a URL.")],
    keep: Annotated[str, typer.Option(metavar="TIME", help="For how long any second can be restored.")] = "7d",
    interval: Annotated[
        int, typer.Option(min=1, max=10_000, help="Milliseconds between two looks at the database.")
    ] = 10,
    config: Annotated[
        str | None, typer.Option(metavar="FILE", help="The file to write [<database>.litestream.yml].")
    ] = None,
    unit: Annotated[bool, typer.Option("--unit", help="Print a service for systemd.")] = False,
    run_now: Annotated[bool, typer.Option("--run", help="Run Litestream until it is stopped.")] = False,
    database: Annotated[str | None, typer.Option("--database", metavar="FILE", help="SQLite file.")] = None,
) -> None:
    """Sets up a replica."""

    def work(_report: "Report") -> list[str]:
        # Imported here, so that --help and wrong options respond at once.
        from postroom.storage.backups import litestream

        path = _file_of(database)
        written = Path(config).absolute() if config else path.with_name(f"{path.name}.litestream.yml")
        replication = litestream.Replication(path, litestream.target_of(to), _duration(keep), interval)
        litestream.check_engine()
        command = litestream.command_of(written)
        replication.write(written)
        if unit:
            print(replication.unit(written), end="")
        elif not run_now:
            typer.echo(f"Written: {written}. Run this beside the service, always:")
            typer.echo(f"  {' '.join(command)}")
            typer.echo("Or as a service of systemd: postroom backup replicate ... --unit. Keep the key file elsewhere:")
            typer.echo("it is not in the replica.")
        return command

    command = run(work, json=False)
    if run_now:
        sys.stdout.flush()
        # Whoever can read a replica can read the database.
        os.umask(0o077)
        # A path of ours, and no shell.
        os.execv(command[0], command)  # noqa: S606  # nosec B606


def _file_of(database: str | None) -> Path:
    """The real database: Litestream keeps its own files beside it, and SQLite its log."""
    from postroom.app.config import SettingError, forget_environment
    from postroom.storage.faults import NoDatabaseError
    from postroom.storage.urls import is_url

    name = configured.load({"database": database}).database
    forget_environment()
    if is_url(name):
        raise SettingError("Litestream replicates SQLite files; for PostgreSQL, use the replication of the server")
    if name == ":memory:":
        raise SettingError("A database in memory belongs to a single process, and cannot be replicated")
    if not Path(name).is_file():
        raise NoDatabaseError(f"There is no database {name}; start the service once")
    return Path(name).resolve()


def _duration(text: str) -> timedelta:
    from postroom.app import settings
    from postroom.app.config import SettingError

    try:
        found = settings.keep(text)
    except ValueError:
        found = {}
    if len(found) != 1 or not found.keys() <= {"h", "d", "w"}:
        raise SettingError(f"--keep: {text!r} is not like 12h, 7d or 4w")
    ((unit, number),) = found.items()
    return timedelta(hours=number * {"h": 1, "d": 24, "w": 168}[unit])
