"""Measures the service against its goals: `python -m tests.bench`.

Goals that are missed are reported and are no failure; the exit code is 1 when something broke.
"""

import asyncio
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tests.bench import bulk, faulty, footprint, rooms, workers
from tests.bench.bench import Bench
from tests.bench.client import log_in
from tests.bench.comparisons import COMPARISONS
from tests.bench.fill import Domain, fill
from tests.bench.results import Result, show, write_json
from tests.bench.servers import BrokenRunError, postroom
from tests.bench.wrk import check_wrk

_Measurement = tuple[str, Callable[[], Result | list[Result]]]

_SMALL, _LARGE, _LARGE_QUICK = 1_000, 100_000, 10_000
#: Those that need a filled database.
_FILLED = [
    *(comparison.name for comparison in [*COMPARISONS, *rooms.ROOMS]),
    "replace-members",
    workers.NAME,
    "start",
    "start-password",
    "memory",
]
#: One name for several.
_GROUPS = {"ldap": [*bulk.NAMES, faulty.NAME]}
_NAMES = [*_FILLED, "openapi", *_GROUPS["ldap"]]


def main(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Rounds of 1 s, with fewer users.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="Measure only this; may be given several times.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the results to this file, too.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Where the temporary database goes [the system's /tmp].")] = None,
) -> None:
    """Measure postroom against its goals and print a table."""
    unknown = sorted(set(only or ()) - {*_NAMES, *_GROUPS})
    if unknown:
        known = ", ".join([*_NAMES, *_GROUPS])
        raise typer.BadParameter(f"{unknown[0]!r} is none of {known}", param_hint="--only")
    names = [name for asked in only or _NAMES for name in _GROUPS.get(asked, [asked])]
    # A stop from outside leaves through the same clean-up as everything else.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Away from a terminal the table gets the room that it needs.
    console = Console(width=None if sys.stdout.isatty() else 130)
    results: list[Result] = []
    broken: list[str] = []
    try:
        check_wrk()
        with tempfile.TemporaryDirectory(prefix="postroom-bench-", dir=folder) as made:
            _measure(console, Path(made), names, results, broken, quick=quick)
    except BrokenRunError as error:
        broken.append(str(error))
    # Whatever broke, what was measured is shown and written.
    show(console, results)
    if json is not None:
        write_json(json, results)
    for reason in broken:
        console.print(f"[red]The benchmark broke:[/] {reason}", highlight=False)
    if broken:
        raise typer.Exit(1)


def _measure(
    console: Console, folder: Path, names: list[str], results: list[Result], broken: list[str], *, quick: bool
) -> None:
    """Adds what is measured to `results`, and to `broken` the reason why something could not be."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        measuring = progress.add_task("Measuring", total=len(names))
        for name, measure in _measurements(folder, names, progress, quick=quick):
            if name in names:
                progress.update(measuring, description=f"Measuring {name}")
                try:
                    found = measure()
                except BrokenRunError as error:
                    broken.append(f"{name}: {error}")
                else:
                    results += found if isinstance(found, list) else [found]
                progress.advance(measuring)


def _measurements(folder: Path, names: list[str], progress: Progress, *, quick: bool) -> Iterator[_Measurement]:
    """Each to be run before the next is taken: they share servers, which are made only for those in `names`."""
    seconds = 1 if quick else 3
    if set(names) & set(_FILLED):
        database = folder / "bench.sqlite3"
        sizes = [_SMALL, _LARGE_QUICK if quick else _LARGE]
        filling = progress.add_task("Filling the database", total=sum(sizes))
        small, large = asyncio.run(fill(str(database), sizes, lambda count: progress.advance(filling, count)))
        yield from _filled(database, small, large, seconds)
    yield "openapi", partial(footprint.openapi, folder / "empty.sqlite3")
    if set(names) & set(bulk.NAMES):
        yield from bulk.measurements(folder, seconds=seconds, quick=quick)
    yield faulty.NAME, partial(faulty.measure, folder, seconds=seconds)


def _filled(database: Path, small: Domain, large: Domain, seconds: int) -> Iterator[_Measurement]:
    with postroom(database) as server:
        token = log_in(server.url)
        bench = Bench(server, token, small, large, database.parent, seconds=seconds, rounds=3)
        for comparison in [*COMPARISONS, *rooms.ROOMS]:
            yield comparison.name, partial(comparison.run, bench)
        yield "replace-members", partial(rooms.replace_members, bench)
        yield workers.NAME, partial(workers.measure, bench, database)
    yield "start", partial(footprint.start, database)
    yield "start-password", partial(footprint.start_with_password, database)
    yield "memory", partial(footprint.memory, database, large)


if __name__ == "__main__":
    typer.run(main)
