"""Runs `postroom import`: opens the source and the database, tells of what is refused, and how it went."""

import asyncio
import getpass
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import typer

from postroom.app.cli import configured, output, places
from postroom.app.cli.failures import explained
from postroom.app.config import Config
from postroom.app.exchange import remote
from postroom.app.exchange.importing import Rejects, Source, name_of
from postroom.app.exchange.records import UnreadableFileError
from postroom.app.services.imports import Import, Refused
from postroom.app.wiring import opened
from postroom.schemas.values.text import printable
from postroom.storage.progress import Report
from postroom.storage.seeds import SECTIONS

#: Kind -> the word for one, and for several.
_WORDS: Final = {
    **{kind: (kind, section) for kind, section in SECTIONS.items()},
    "settings": ("line of settings", "lines of settings"),
    "access": ("list of access", "lists of access"),
}


@dataclass(frozen=True, slots=True)
class Order:
    """The arguments of the command."""

    source: str | None
    url: str | None
    user: str
    password_stdin: bool
    dry_run: bool
    rejected: Path | None
    encoding: str


class _Work:
    """One run of the command, and what it has to tell at its end."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self.job: Import | None = None
        #: What another installation did not show.
        self.missing: set[str] = set()
        self._rejects: Rejects | None = None

    async def run(self, config: Config, report: Report) -> None:
        """Raises whatever ends it early."""
        current = asyncio.current_task()
        if current is not None and threading.current_thread() is threading.main_thread():
            # As Ctrl-C: what is due at the end is done.
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, current.cancel)
        with ExitStack() as stack:
            source = await self._source(stack, report)
            if not self._order.dry_run:
                self._rejects = Rejects(self._order.rejected, _beside(self._order), source)
                stack.callback(self._rejects.close)
            async with opened(config, create=False) as context:
                self.job = Import(context, self._refuse, lambda done: report("records", done, source.total))
                await (self.job.try_out if self._order.dry_run else self.job.run)(source.records())

    def _refuse(self, what: Refused, reasons: Sequence[str]) -> None:
        typer.echo(printable(f"{name_of(what)}: {'; '.join(reasons)}"), err=True)
        if self._rejects is not None:
            self._rejects.keep(what)

    async def _source(self, stack: ExitStack, report: Report) -> Source:
        order = self._order
        stream: BinaryIO = sys.stdin.buffer
        if order.url is not None:
            stream = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - it is one
            await self._fetch(order.url, stream, report)
            stream.seek(0)
        path = None if order.source in (None, "-") else Path(str(order.source))
        source = Source(path, stream, order.encoding)
        stack.callback(source.close)
        return source

    async def _fetch(self, url: str, stream: BinaryIO, report: Report) -> None:
        base = places.api_of(url)
        if places.is_readable_on_the_way(base):
            typer.echo(places.READABLE, err=True)
        async with remote.new_session() as session:
            token = places.given_token()
            if self._order.user:
                password = await asyncio.to_thread(_password, self._order)
                token = await remote.log_in(session, base, self._order.user, password)
            if not token:
                raise remote.RemoteError(f"There is no login for {url}: give --user, or set POSTROOM_TOKEN")
            there = remote.Remote(session, base, token)
            await there.write_lines(stream, report)
            self.missing = there.missing

    def summary(self) -> str:
        """One or two sentences."""
        job = self.job
        if job is None:
            return "Nothing was stored"
        counts = ", ".join(_count(count, *_WORDS[kind]) for kind, count in job.stored.items())
        text = f"{'Would store' if self._order.dry_run else 'Stored'} {counts or 'nothing'}; {job.refused:,} refused"
        if job.without_password:
            people = _count(job.without_password, "user", "users")
            text += f". {people} cannot log in yet: postroom user passwd sets a password"
        if self.missing:
            text += f". Not shown there: {', '.join(sorted(self.missing))}"
        if job.refused and self._rejects is not None:
            text += f". What was refused is in {self._rejects.path}: correct it, and import that"
        return text

    def numbers(self) -> dict[str, object] | None:
        """The same for --json."""
        job = self.job
        if job is None:
            return None
        kept = str(self._rejects.path) if job.refused and self._rejects else None
        return {
            "stored": dict(job.stored),
            "refused": job.refused,
            "withoutPassword": job.without_password,
            "rejected": kept,
        }


def run(order: Order, database: str | None, *, json: bool) -> int:
    """Does it and returns the exit code."""
    work = _Work(order)
    try:
        config = configured.load({"database": database})
        with output.progress() as report:
            asyncio.run(work.run(config, report))
    except BrokenPipeError:
        raise  # the reader of the pipe has gone; typer handles this
    except (Exception, KeyboardInterrupt, asyncio.CancelledError) as error:  # noqa: BLE001 - the last line of defence: a terminal is no place for a traceback
        reason, code = _explained(error)
        text = f"{reason}. {work.summary()}" if work.job is not None else reason
        if json:
            output.print_json(text, work.numbers())
        typer.echo(f"postroom: {printable(text)}", err=True)
        return code
    if json:
        output.print_json(work.summary(), work.numbers())
    else:
        print(printable(work.summary()))
    return output.NOTICED if work.job is not None and work.job.refused else output.FINE


def _explained(error: BaseException) -> tuple[str, int]:
    match error:
        case UnreadableFileError() | places.PlaceError():
            return str(error), output.REFUSED
        case OSError() if error.filename is not None:
            return f"{error.filename}: {error.strerror}", output.REFUSED
        case OSError() if error.strerror:
            return f"A file cannot be read or written: {error.strerror}", output.REFUSED
        case remote.RemoteError():
            return str(error), output.AWAY
    return explained(error)


def _password(order: Order) -> str:
    if order.password_stdin:
        return sys.stdin.buffer.readline().decode("utf-8", "replace").rstrip("\r\n")
    if not sys.stdin.isatty():
        raise remote.RemoteError("Nobody can be asked for the password here: use --password-stdin")
    return getpass.getpass(f"Password of {order.user} there: ")


def _beside(order: Order) -> Path:
    """Where to keep what is refused: beside the source, with its ending."""
    if order.source in (None, "-"):
        return Path("rejected.ndjson")
    path = Path(str(order.source))
    if path.is_dir() or path.suffix.lower() in (".csv", ".tsv"):
        return path.with_name(f"{path.stem}.rejected")
    return path.with_name(f"{path.stem}.rejected{path.suffix}")


def _count(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"
