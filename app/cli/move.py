"""The command `postroom move`, which moves everything into a database of its own or of the other engine."""

import signal
from typing import TYPE_CHECKING, Annotated

import typer

from postroom.app.cli import configured, output

if TYPE_CHECKING:
    from postroom.storage.moving.mover import Moved

HELP = """Move everything from one database into a new one.

SOURCE and TARGET are SQLite files, or URLs of PostgreSQL databases (postgresql://user@host/name), in any combination.
A URL with a password does not belong on the command line: @FILE stands for the first line of a file.

The target must not exist if it is a file, and must be empty if it is on a server. It gets everything or, if the
command fails or is killed, nothing. All IDs and the history stay as they are, and the ID of something that was deleted
never comes back. At the end every table is read again and compared with the original.

Nothing is changed in the source. While the command runs, a service on the source may go on reading; it responds to
writes with 503. Stop that service before you start one on the target: what it stores later is missing there.

Secrets are copied as they are, encrypted. With PostgreSQL, POSTROOM_KEY_FILE has to name their keys: copy the key file
of the source first.

\b
Examples:
  postroom move postroom.sqlite3 /srv/postroom/postroom.sqlite3
  cp -p postroom.sqlite3.key /etc/postroom/postroom.key
  export POSTROOM_KEY_FILE=/etc/postroom/postroom.key
  postroom move postroom.sqlite3 postgresql://postroom@db.example.org/postroom
  postroom move @old-url.txt @new-url.txt --json

\b
Exit codes:
  0    everything was moved
  2    wrong usage or settings, or refused; trying again does not help
  3    a database is unavailable, or a service writes to the source; trying again may help
  130  interrupted"""


def move(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="File or URL of what is there.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="File or URL of what is to be made.")],
    json: output.Json = False,
) -> None:
    """Moves a database."""
    # Imported here, so that --help and wrong options respond at once.
    from postroom.app.config import SettingError
    from postroom.storage.faults import (
        DatabaseError,
        NoDatabaseError,
        UncertainError,
        WrongDatabaseError,
        is_unavailable,
    )

    # As Ctrl-C, so that what was begun is cleared away.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        moved = _move(source, target)
    except KeyboardInterrupt:
        output.fail(
            "Interrupted. The target has nothing or, after the last step, everything", output.INTERRUPTED, json=json
        )
    except (SettingError, NoDatabaseError, WrongDatabaseError) as error:
        output.fail(str(error), output.REFUSED, json=json)
    except Exception as error:
        if not isinstance(error, DatabaseError) and not is_unavailable(error):
            raise
        unknown = "Run it again: if the target is not empty then, everything is there"
        output.fail(
            f"{error}. {unknown if isinstance(error, UncertainError) else 'Nothing was moved'}", output.AWAY, json=json
        )
    _show(moved, json=json)


def _move(source: str, target: str) -> "Moved":
    from postroom.storage.moving.mover import move

    # Of the settings only the key file counts here: what they say of a database may fit neither of the two.
    key_file = configured.load({"database": "none"}).key_file
    names = _name("SOURCE", source), _name("TARGET", target)
    with output.progress() as report:
        return move(*names, key_file, report)


def _name(argument: str, text: str) -> str:
    from postroom.app import settings
    from postroom.app.config import SettingError

    try:
        name = settings.database(settings.first_line(text[1:]) if text.startswith("@") else text)
    except ValueError as error:
        raise SettingError(f"{argument}: {error}") from None
    if name == ":memory:":
        raise SettingError(f"{argument}: a database in memory belongs to a single process")
    return name


def _show(moved: "Moved", *, json: bool) -> None:
    """The result on stdout; what is left to do on stderr."""
    rows = sum(one.rows for one in moved.tables)
    message = f"Moved and compared {rows:,} rows of {len(moved.tables)} tables."
    if json:
        data = [{"table": one.table, "rows": one.rows, "checksum": one.checksum} for one in moved.tables]
        output.print_json(message, data)
    else:
        table = output.new_table("TABLE", "ROWS", "CHECKSUM")
        table.columns[1].justify = "right"
        for one in moved.tables:
            table.add_row(one.table, f"{one.rows:,}", one.checksum[:16])
        output.console().print(table)
        typer.echo(message)
    if moved.copy_keys_from is not None:
        typer.echo(f"The secrets need their keys: cp -p {moved.copy_keys_from} {moved.keys}", err=True)
    else:
        typer.echo(f"The secrets need the keys in {moved.keys}, as before.", err=True)
    typer.echo("Stop what still runs on the source before a service starts on the target.", err=True)
