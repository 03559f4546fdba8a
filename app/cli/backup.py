"""The commands `postroom backup ...`, which take backups, list them, and look whether one can be restored."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from typer.core import TyperGroup

from postroom.app.cli import configured, output
from postroom.app.cli.backup_views import show_list, show_taken, show_verified

if TYPE_CHECKING:
    from postroom.storage.backups.folder import Backup
    from postroom.storage.backups.taking import Taken
    from postroom.storage.backups.verifying import Verified
    from postroom.storage.progress import Report

T = TypeVar("T")

_CODES = """
\b
Exit codes:
  0    done, and all is well
  1    a backup is damaged
  2    wrong usage or settings, or refused; trying again does not help
  3    something is unavailable, in use or full; trying again may help
  130  interrupted"""

_HELP = f"""Take a backup, also while the service runs: postroom backup TARGET.

\b
Examples:
  postroom backup /srv/backups                         a file named by database and time
  postroom backup /srv/backups --keep 7d,4w,12m        and remove what is older
  postroom backup before-the-import.sqlite3 --verify   this file, and look whether it can be restored
  postroom backup list /srv/backups
  postroom backup verify /srv/backups/postroom-20260131T030000Z.sqlite3
  postroom backup replicate --to /mnt/backup/postroom  write every change there at once (Litestream)
  postroom backup create --help                        all options
{_CODES}
"""

_CREATE_HELP = f"""Take a backup, also while the service runs.

TARGET is a folder, in which the backup is named by the database and the time (UTC), or the file that it becomes, which
must not exist. The backup is an SQLite file, whatever the engine of the database, and a manifest beside it (.json) with
its checksum. It has everything that was acknowledged before the command began. If the command fails or is killed,
nothing is left that looks like a backup.

The key of the stored secrets is not in it: keep a copy of the key file elsewhere. With --with-key it is copied beside
the backup; then whoever has the backup has the secrets.

--keep removes older backups of the same database from the folder: 7d,4w,12m keeps the newest of each of the last 7
days, 4 weeks and 12 months that have one (h: hours, y: years).

\b
Examples:
  postroom backup /srv/backups
  postroom backup create /srv/backups --keep 7d,4w,12m --verify --json
  postroom backup create /mnt/stick/postroom.sqlite3 --database /var/lib/postroom/postroom.sqlite3 --with-key
{_CODES}
"""

_LIST_HELP = f"""List the backups in a folder, the oldest first. What is damaged at first sight is marked.

\b
Examples:
  postroom backup list /srv/backups
  postroom backup list /srv/backups --json
{_CODES}
"""

_VERIFY_HELP = f"""Look whether a backup can be restored: restore it into a scratch file, and examine that like postroom
doctor. Whether the present key file opens its secrets is told, and is no damage.

\b
Examples:
  postroom backup verify /srv/backups/postroom-20260131T030000Z.sqlite3
{_CODES}
"""


class _CreateByDefault(TyperGroup):
    """Takes what is no command for the arguments of `create`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["create", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(name="backup", cls=_CreateByDefault, no_args_is_help=True, rich_markup_mode=None, help=_HELP)


@app.command("create", help=_CREATE_HELP)
def create(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A folder, or the file that is to be made.")],
    keep: Annotated[str | None, typer.Option(metavar="RULE", help="Remove older ones, such as 7d,4w,12m.")] = None,
    with_key: Annotated[bool, typer.Option("--with-key", help="Copy the key file beside the backup, too.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Look whether the backup can be restored.")] = False,
    database: output.Database = None,
    json: output.Json = False,
) -> None:
    """Takes a backup."""

    def work(report: "Report") -> "tuple[Taken, list[Path], str]":
        # Imported here and below, so that --help and wrong options respond at once.
        from postroom.app import settings
        from postroom.app.config import SettingError
        from postroom.storage.backups import copying, rotation, taking, verifying
        from postroom.storage.keyring import key_file_of

        if not target:
            raise SettingError("TARGET is empty")
        config = configured.load({"database": database})
        try:
            rule = None if keep is None else settings.keep(keep)
        except ValueError as error:
            raise SettingError(f"--keep: {error}") from None
        if rule is not None and not Path(target).is_dir():
            raise SettingError(f"--keep: {target} is not a folder")
        copying.be_modest()
        keys = key_file_of(config.database, config.key_file)
        taken = taking.take(taking.Order(config.database, Path(target), config.key_file, with_key), report)
        if verify:
            verifying.verify(taken.path, keys, report)
        removed = [] if rule is None else rotation.rotate(Path(target), config.database, rule)
        return taken, removed, keys

    taken, removed, keys = run(work, json=json)
    show_taken(taken, removed, keys, with_key=with_key, json=json)


@app.command("list", help=_LIST_HELP)
def list_(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Where they are.")], json: output.Json = False
) -> None:
    """Lists backups."""

    def work(_report: "Report") -> "list[Backup]":
        from postroom.storage.backups.folder import list_backups

        return list_backups(Path(folder))

    found = run(work, json=json)
    show_list(found, json=json)
    if any(each.fault for each in found):
        raise typer.Exit(output.NOTICED)


@app.command("verify", help=_VERIFY_HELP)
def verify(file: Annotated[str, typer.Argument(metavar="FILE", help="The backup.")], json: output.Json = False) -> None:
    """Verifies a backup."""

    def work(report: "Report") -> "Verified":
        from postroom.storage.backups.verifying import verify
        from postroom.storage.keyring import key_file_of

        config = configured.load()
        keys = key_file_of(config.database, config.key_file)
        return verify(Path(file), keys, report)

    show_verified(Path(file), run(work, json=json), json=json)


def run(work: Callable[["Report"], T], *, json: bool) -> T:
    """Does the work with its progress on a terminal; ends with one line, and the right exit code, when it fails."""
    from postroom.app.config import SettingError
    from postroom.storage.backups.manifest import BackupError, DamagedBackupError
    from postroom.storage.faults import DatabaseError, NoDatabaseError, WrongDatabaseError

    # As Ctrl-C, so that what was begun is cleared away.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with output.progress() as report:
            return work(report)
    except KeyboardInterrupt:
        output.fail("Interrupted", output.INTERRUPTED, json=json)
    except DamagedBackupError as error:
        output.fail(str(error), output.NOTICED, json=json)
    except (BackupError, SettingError, NoDatabaseError, WrongDatabaseError) as error:
        output.fail(str(error), output.REFUSED, json=json)
    except DatabaseError as error:
        output.fail(str(error), output.AWAY, json=json)
    except OSError as error:
        output.fail(f"{error.filename or ''}: {error.strerror}".removeprefix(": "), output.AWAY, json=json)


def _interrupt(number: int, frame: Any) -> None:
    signal.default_int_handler(number, frame)
