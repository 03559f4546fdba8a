"""The command `postroom migrate`, which brings a database up to date, or says what that would mean."""

import signal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.app.cli import configured, output

if TYPE_CHECKING:
    from postroom.storage.upgrading import Outlook

HELP = """Bring the database up to date, as the service does when it starts.

With --check nothing is changed, and a service may be running: the command says which schema the database has, which
migrations are pending, about how long they take, and how much room they need.

A copy of an SQLite file is written beside it first (<file>.schema-<N>.backup). The migrations are one transaction: if
one fails, or the command is killed, the database is as it was. The service has to be stopped, unless it can go on
after the migration. A PostgreSQL database gets no copy: make one with pg_dump.

\b
Examples:
  postroom migrate --check
  postroom migrate --check --json --database /var/lib/postroom/postroom.sqlite3
  postroom migrate

\b
Exit codes:
  0    the database is up to date
  1    with --check: there are migrations to apply
  2    wrong usage or settings, no such database, one of a newer version or of something else
  3    the database is unavailable or in use, or there is no room; trying again may help
  130  interrupted"""


def migrate(
    check: Annotated[bool, typer.Option("--check", help="Only say what would be done.")] = False,
    database: output.Database = None,
    json: output.Json = False,
) -> None:
    """Brings a database up to date."""
    # Imported here, so that --help and wrong options respond at once.
    from postroom.app.config import SettingError
    from postroom.storage.faults import DatabaseError, is_unavailable
    from postroom.storage.upgrading import look

    # As Ctrl-C, so that what was begun is rolled back.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        config = configured.load({"database": database})
        if config.database == ":memory:":
            raise SettingError("A database in memory is always new: name a file, or set POSTROOM_DATABASE")
        outlook = look(config.database)
        if check:
            _tell(config.database, outlook, json=json)
        elif outlook.pending:
            _upgrade(config.database, config.key_file, outlook, json=json)
        else:
            _show(config.database, outlook, _state(outlook), {"copy": None}, json=json)
    except KeyboardInterrupt:
        output.fail(
            "Interrupted. The database is as it was or, after the last step, up to date", output.INTERRUPTED, json=json
        )
    except SettingError as error:
        output.fail(str(error), output.REFUSED, json=json)
    except DatabaseError as error:
        output.fail(str(error), output.code_of(error), json=json)
    except Exception as error:
        if not is_unavailable(error):
            raise
        output.fail(f"{config.database}: {error}", output.code_of(error), json=json)


def _tell(database: str, outlook: "Outlook", *, json: bool) -> None:
    """What would be done."""
    room = {"copy": outlook.copy, "change": outlook.change, "free": outlook.free}
    _show(database, outlook, _state(outlook), {"size": outlook.size, "seconds": outlook.seconds, **room}, json=json)
    if not json and outlook.pending:
        typer.echo(f"Size: {_size(outlook.size)}. It takes {_duration(outlook.seconds)}; nothing can be written then.")
        for name in outlook.pending:
            typer.echo(f"  {name}")
        if outlook.free is None:
            typer.echo("A server gets no copy: make one with pg_dump first.")
        else:
            typer.echo(
                f"Room: {_size(outlook.copy)} for a copy of the file, up to {_size(outlook.change)} for the change; "
                f"{_size(outlook.free)} are free."
            )
    if outlook.lack:
        typer.echo(f"postroom: There is no room for the copy: {_size(outlook.lack)} are missing", err=True)
        raise typer.Exit(output.AWAY)
    if outlook.pending:
        raise typer.Exit(output.NOTICED)


def _upgrade(database: str, key_file: str | None, outlook: "Outlook", *, json: bool) -> None:
    from postroom.storage.upgrading import upgrade

    typer.echo(f"Upgrading; this takes {_duration(outlook.seconds)} ...", err=True)
    copy = upgrade(database, key_file, outlook)
    text = f"Upgraded from schema {outlook.schema} to {outlook.known}."
    if copy is not None:
        text += f" A copy with the old schema is in {copy}; keep it, and the key file, until all is well."
    _show(database, outlook, text, {"copy": None if copy is None else str(copy)}, json=json)


def _state(outlook: "Outlook") -> str:
    if outlook.pending:
        return f"The database has schema {outlook.schema}, and this version of postroom {outlook.known}."
    if outlook.schema > outlook.known:
        return (
            f"The database has the newer schema {outlook.schema}, "
            f"which this version of postroom (schema {outlook.known}) can work with."
        )
    return f"The database is up to date: schema {outlook.schema}."


def _show(database: str, outlook: "Outlook", text: str, more: dict[str, Any], *, json: bool) -> None:
    from postroom.storage.urls import shown

    if not json:
        typer.echo(text)
        return
    data = {
        "database": shown(database),
        "schema": outlook.schema,
        "latest": outlook.known,
        "oldest": outlook.oldest,
        "pending": list(outlook.pending),
        **more,
    }
    output.print_json(text, data)


def _size(number: int) -> str:
    from rich.filesize import decimal

    return decimal(number)


def _duration(seconds: float) -> str:
    if seconds < 2:
        return "a moment"
    return f"about {seconds:.0f} s" if seconds < 120 else f"about {seconds / 60:.0f} min"
