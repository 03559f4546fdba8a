"""The command `postroom init`, which makes a settings file and a database with a first domain."""

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.app.cli import configured, output

if TYPE_CHECKING:
    from postroom.app.cli.beginning import Beginning

HELP = """Make a settings file, and a database with the administrator and the first mail domain.

Asks for the domain, the password of the administrator, and whether users come from an LDAP directory, whose
configuration is tested before anything is made. Each answer can be given as an option; without a terminal all have
to be. Nothing is ever overwritten, and if a step fails, nothing is left behind.

Root makes /etc/postroom/postroom.toml and /var/lib/postroom/postroom.sqlite3, which then belong to the user or group
postroom if there is one; anybody else postroom.toml and postroom.sqlite3 in the current folder. The environment does
not count here. For PostgreSQL, make the settings file yourself: docs/configuration.md.

\b
Examples:
  postroom init
  postroom init --domain example.org --no-directory
  postroom init --domain example.org --password-stdin --directory directory.json < password.txt
  postroom init --config test.toml --database test.sqlite3

\b
Exit codes:
  0    everything is made
  2    wrong usage, something is there already, or the directory refuses; nothing is made
  3    a disk or the database is unavailable; nothing is made
  130  interrupted; nothing is made"""


def init(
    *,
    domain: Annotated[str | None, typer.Option(metavar="NAME", help="The first mail domain.")] = None,
    max_users: Annotated[int, typer.Option("--max-users", min=1, help="How many users it may have.")] = 1000,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the administrator's password from standard input.")
    ] = False,
    directory: Annotated[
        str | None, typer.Option(metavar="FILE", help="JSON as in docs/directory.md: the directory of the users.")
    ] = None,
    no_directory: Annotated[bool, typer.Option("--no-directory", help="There is no directory.")] = False,
    ca_file: Annotated[
        str | None, typer.Option("--ca-file", metavar="FILE", help="PEM file with the CA of the directory.")
    ] = None,
    database: Annotated[str | None, typer.Option(metavar="FILE", help="The database to make.")] = None,
    config: configured.File = None,
    json: output.Json = False,
) -> None:
    """Makes them."""
    # Imported here, so that --help and wrong options respond at once.
    import asyncio

    from postroom.app.cli import beginning, init_answers
    from postroom.app.config import SettingError
    from postroom.app.errors import PostroomError
    from postroom.storage.faults import DatabaseError

    # As Ctrl-C, so that what was begun is cleared away.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    given = init_answers.Given(domain, max_users, password_stdin, directory, no_directory, ca_file)
    try:
        settings, store = _places(config, database)
        beginning.check_free(settings, store)
        order = init_answers.order(given, settings, store)
        beginning.begin(order)
    except (KeyboardInterrupt, asyncio.CancelledError, typer.Abort):
        output.fail("Interrupted. Nothing was made", output.INTERRUPTED, json=json)
    except (SettingError, PostroomError) as error:
        reason = error.message if isinstance(error, PostroomError) else str(error)
        output.fail(f"{reason}. Nothing was made", output.REFUSED, json=json)
    except (DatabaseError, OSError) as error:
        path = (error.filename2 or error.filename) if isinstance(error, OSError) else None
        reason = f"{path}: {error.strerror}" if isinstance(error, OSError) and path else str(error)
        code = output.REFUSED if isinstance(error, FileExistsError) else output.AWAY
        output.fail(f"{reason}. Nothing was made", code, json=json)
    _show(order, json=json)


def _places(config: str | None, database: str | None) -> tuple[Path, Path]:
    """The settings file and the database, as whole paths."""
    from postroom.app.config import SettingError
    from postroom.app.sources import USUAL_FILE

    if database is not None and ("://" in database or database in ("", ":memory:")):
        raise SettingError("--database: only a file can be made; for PostgreSQL, see docs/configuration.md")
    if config == "":
        raise SettingError("--config: name a file")
    root = os.geteuid() == 0
    settings = config or configured.given() or (USUAL_FILE if root else "postroom.toml")
    usual = "/var/lib/postroom/postroom.sqlite3" if root and settings == USUAL_FILE else "postroom.sqlite3"
    return Path(settings).absolute(), Path(database or usual).absolute()


def _show(order: "Beginning", *, json: bool) -> None:
    from postroom.app.sources import USUAL_FILE

    usual = str(order.settings) == USUAL_FILE
    units = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
    if usual and any(Path(folder, "postroom.service").exists() for folder in units):
        following = "systemctl enable --now postroom.service"
    else:
        following = "postroom serve" if usual else f"postroom --config {order.settings} serve"
    name = order.domain["domainname"][1]
    message = f"Made the domain {name} and the administrator admin. Start the service: {following}"
    if json:
        made = {"settings": order.settings, "database": order.database, "keys": order.keys}
        data: dict[str, Any] = {each: str(path) for each, path in made.items()}
        output.print_json(message, {**data, "domain": name, "next": following})
        return
    typer.echo(f"Settings: {order.settings}")
    typer.echo(f"Database: {order.database}")
    typer.echo(f"Keys:     {order.keys} - keep a copy elsewhere: without it the stored secrets are lost")
    typer.echo(message)
    sys.stdout.flush()
