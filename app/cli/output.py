"""What the commands share: exit codes, common options, and how they print results and failures.

Results go to stdout, all else to stderr. With --json, stdout gets one document, {"message": ..., "data": ...}, also
when the command fails: `data` is null then, unless there is something to show.
"""

import json as json_module
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from postroom.storage.progress import Report

#: Exit codes. NOTICED: done, and there is something to look at. AWAY: trying again may help.
FINE, NOTICED, REFUSED, AWAY, BROKEN, INTERRUPTED = 0, 1, 2, 3, 70, 130

Database = Annotated[
    str | None, typer.Option("--database", metavar="FILE", help="SQLite file or URL [POSTROOM_DATABASE].")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

_UNLIMITED: Final = 100_000


def print_json(message: str, data: object) -> None:
    """Prints the document of --json."""
    # ASCII only: JSON allows characters that control a terminal.
    print(json_module.dumps({"message": message, "data": data}))


def fail(text: str, code: int, *, json: bool = False) -> NoReturn:
    """Ends the command with one line."""
    if json:
        print_json(text, None)
    complain(text)
    sys.exit(code)


def complain(text: str) -> None:
    """Prints one line to stderr."""
    from postroom.schemas.values.text import printable

    typer.echo(f"postroom: {printable(text)}", err=True)


def code_of(error: Exception) -> int:
    """The exit code for a failure of the database or of its key file."""
    from postroom.storage.faults import NoDatabaseError, WrongDatabaseError
    from postroom.storage.keyring import KeyFileError

    return REFUSED if isinstance(error, (NoDatabaseError, WrongDatabaseError, KeyFileError)) else AWAY


def agreed(question: str) -> bool:
    """Whether the person at the terminal says yes."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        typer.echo(err=True)  # ends the line of the prompt
        return False


def console(*, stderr: bool = False) -> "Console":
    """Prints plain text. What goes to a file or a pipe is not wrapped: its reader decides."""
    from rich.console import Console

    options: dict[str, Any] = {"stderr": stderr, "highlight": False, "markup": False, "emoji": False}
    made = Console(**options)
    return made if made.is_terminal else Console(**options, width=_UNLIMITED)


def new_table(*headings: str) -> "Table":
    """A table with these headings."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


@contextmanager
def progress() -> "Iterator[Report]":
    """Shows on a terminal how far it is, from the first report on. Ask before that, and print the result after it."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    shown_on = console(stderr=True)
    columns: tuple[Any, ...] = (
        TextColumn("{task.description:16}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    )  # fmt: skip
    # What goes to a file meanwhile stays there.
    apart = not sys.stdout.isatty()
    shown = Progress(
        *columns, console=shown_on, transient=True, disable=not shown_on.is_terminal, redirect_stdout=not apart
    )
    task = shown.add_task("")

    def report(what: str, done: int, total: int) -> None:
        shown.start()
        shown.update(task, description=what, completed=done, total=total or None)

    try:
        yield report
    finally:
        if shown.live.is_started:
            shown.stop()
