"""What the commands that ask the API have in common: where they work, what they are told, and questions before them."""

import gc
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from postroom.app.cli import configured, output, places, tables

if TYPE_CHECKING:
    from postroom.app.cli.api import Api

Url = places.Url
Addresses = Annotated[
    list[str], typer.Argument(metavar="ADDRESS...", min=1, help="Addresses; - takes them from the input, one a line.")
]
Address = Annotated[str, typer.Argument(metavar="ADDRESS", show_default=False)]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Take the password from the first line of the input.")
]

#: Most names in a question.
_NAMED = 10
#: The status of the response to a token that is not valid, which it will not be for the next name either.
_NOT_LOGGED_IN = 401


class Job:
    """One command at one place: it may ask first, and then works."""

    def __init__(self, place: places.Local | places.Remote, *, json: bool) -> None:
        self.place = place
        self.json = json

    @property
    def is_remote(self) -> bool:
        """Whether it works at a service."""
        return isinstance(self.place, places.Remote)

    def fail(self, text: str, code: int = output.REFUSED) -> NoReturn:
        """Ends the command with one line."""
        output.fail(text, code, json=self.json)

    def names(self, given: Sequence[str]) -> list[str]:
        """The names, each once; those of the input in place of `-`."""
        found: list[str] = []
        for name in given:
            found += self._lines() if name == "-" else [name]
        if not found:
            self.fail("The input has no names")
        return list(dict.fromkeys(found))

    def _lines(self) -> list[str]:
        try:
            text = sys.stdin.buffer.read().decode("utf-8-sig")
        except UnicodeDecodeError:
            self.fail("The input is not UTF-8")
        return [line.strip() for line in text.splitlines() if line.strip()]

    def confirm(self, question: str, *, yes: bool) -> None:
        """Asks before something is destroyed; ends the command unless somebody agrees."""
        if yes:
            return
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            self.fail("Nothing was done: nobody can be asked here, so this needs --yes")
        if not output.agreed(f"{question} ({self.place})"):
            self.fail("Nothing was done", output.INTERRUPTED)

    def password(self, *, from_input: bool, prompt: str = "New password", twice: bool = True) -> str:
        """A password, from the input or from whoever sits at the terminal."""
        if from_input:
            try:
                return sys.stdin.buffer.readline().decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError:
                self.fail("The password in the input is not UTF-8")
        if not sys.stdin.isatty():
            self.fail("Nobody can be asked for the password here: use --password-stdin")
        try:
            answer: str = typer.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True)
        except typer.Abort:
            typer.echo(err=True)
            self.fail("Interrupted", output.INTERRUPTED)
        return answer

    def run(self, work: "Callable[[Api], Awaitable[int | None]]") -> NoReturn:
        """Does the work and ends the command; without a code, it is fine."""
        # What is imported stays; looking for garbage in it would take a sixth of the time until api.run() works.
        gc.disable()
        from postroom.app.cli import api

        async def with_code(opened: "Api") -> int:
            return await work(opened) or output.FINE

        sys.exit(api.run(self.place, with_code, json=self.json))

    def run_each(self, names: Sequence[str], deed: "Callable[[Api, str], Awaitable[str]]") -> NoReturn:
        """Does something for each name, and tells of each what has happened; the code is 1 when some failed."""

        async def work(opened: "Api") -> int:
            return await _each(opened, names, deed, json=self.json)

        self.run(work)

    def note(self, text: str) -> None:
        """Says something beside the result."""
        from postroom.schemas.values.text import printable

        print(printable(text), file=sys.stderr)

    def show_page(
        self, what: str, page: dict[str, Any], headings: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> None:
        """Prints a page of a list, and how much of it that is."""
        count = page.get("count", len(page["data"]))
        message = f"{len(page['data']):,} of {count:,} {what}"
        if self.json:
            self.tell(message, page["data"])
            return
        tables.show_rows(headings, rows)
        self.note(f"{message}; --limit shows more" if count > len(page["data"]) else message)

    def tell(self, message: str, data: Any = None) -> None:
        """Prints what has been done, as a line or with the document of --json."""
        from postroom.schemas.values.text import printable

        if self.json:
            output.print_json(message, data)
        else:
            print(printable(message))


def job_at(url: str | None, database: str | None, *, json: bool) -> Job:
    """A command at the place that options and environment name."""
    try:
        return Job(places.chosen(url, database, by_file=configured.given() is not None), json=json)
    except places.PlaceError as error:
        output.fail(str(error), output.REFUSED, json=json)


async def _each(api: "Api", names: Sequence[str], deed: "Callable[[Api, str], Awaitable[str]]", *, json: bool) -> int:
    from asyncio import CancelledError

    from postroom.app.cli.api import PATIENCE, CommandError, UnfinishedError
    from postroom.schemas.values.text import printable

    results: list[dict[str, Any]] = []
    begun, several = time.monotonic(), len(names) > 1
    api.is_shown = several
    with output.progress() as report:
        for name in names:
            try:
                message, done = await deed(api, name), True
            except CommandError as error:
                if not several:
                    raise
                if error.code != output.REFUSED or getattr(error, "status", None) == _NOT_LOGGED_IN:
                    raise UnfinishedError(_count(results), len(names), results) from error
                message, done = str(error), False
            except (Exception, CancelledError) as error:
                if not several:
                    raise
                raise UnfinishedError(_count(results), len(names), results) from error
            results.append({"name": name, "done": done, "message": message})
            if time.monotonic() - begun > PATIENCE:
                report("", len(results), len(names))
            if not json:
                shown = message if done else f"postroom: {name}: {message}"
                print(printable(shown), file=sys.stdout if done else sys.stderr)
    done_of = _count(results)
    if json:
        output.print_json(f"{done_of} of {len(names)} done", results)
    return output.FINE if done_of == len(names) else output.NOTICED


def _count(results: Sequence[dict[str, Any]]) -> int:
    return sum(each["done"] for each in results)


def listed(names: Sequence[str]) -> str:
    """Names for a question."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
