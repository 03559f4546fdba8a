"""Measures the service against its goals: `python -m tests.bench`.

Goals that are missed are reported and are no failure; the exit code is 1 when something broke.
"""

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tests.bench import (
    bulk,
    commands,
    comparisons,
    doctor,
    engines,
    exchange,
    faulty,
    footprint,
    harness,
    imports,
    lists,
    logins,
    mail,
    watching,
)
from tests.bench.bench import Measurements, Run
from tests.bench.results import Report
from tests.bench.wrk import check_wrk


class Section(NamedTuple):
    """Measurements that share servers: a name for all of them, the name of each, and whether they need data sets."""

    name: str
    names: Sequence[str]
    measurements: Callable[[Run], Measurements]
    stored: bool = True


SECTIONS: Final = [
    Section("lists", lists.NAMES, lists.measurements),
    Section("throughput", comparisons.NAMES, comparisons.measurements),
    Section("logins", [logins.NAME], logins.measurements),
    Section("footprint", footprint.NAMES, footprint.measurements),
    Section("commands", commands.NAMES, commands.measurements),
    Section("watching", watching.NAMES, watching.measurements),
    Section("harness", harness.NAMES, harness.measurements, stored=False),
    Section("doctor", doctor.NAMES, doctor.measurements),
    Section("postgresql", engines.NAMES, engines.measurements),
    Section("bulk", imports.NAMES, imports.measurements, stored=False),
    Section("exchange", exchange.NAMES, exchange.measurements, stored=False),
    Section("ldap", bulk.NAMES, bulk.measurements, stored=False),
    Section("mail", mail.NAMES, mail.measurements),
    Section("faults", [faulty.NAME], faulty.measurements, stored=False),
]


def main(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Few and short rounds, with fewer users.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="Measure only this; may be given several times.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the results to this file, too.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Where the temporary files go [the system's /tmp].")] = None,
    data: Annotated[Path | None, typer.Option(help="Keep the data sets here, and take them from here.")] = None,
) -> None:
    """Measure postroom against its goals and print a table."""
    groups = {section.name: section.names for section in SECTIONS}
    every = [name for names in groups.values() for name in names]
    if unknown := sorted(set(only or ()) - {*every, *groups}):
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join([*groups, *every])}", param_hint="--only")
    names = {name for asked in only or groups for name in groups.get(asked, [asked])}
    # Programs start as they do when they are installed: not compiling all of their modules each time.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # A stop from outside leaves through the same clean-up as everything else.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Away from a terminal the table gets the room that it needs.
    console = Console(width=None if sys.stdout.isatty() else 130)
    report = Report(file=json)
    try:
        with report.surviving("benchmark"), tempfile.TemporaryDirectory(prefix="postroom-bench-", dir=folder) as made:
            check_wrk()
            measure(console, Run(Path(made), quick=quick, kept=data), names, report)
    finally:
        # Whatever broke, what was measured is shown.
        report.show(console)
    if report.broken:
        raise typer.Exit(1)


def measure(console: Console, run: Run, names: set[str], report: Report) -> None:
    """Adds to the report what is measured under these names, and what breaks meanwhile."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    sections = [section for section in SECTIONS if names.intersection(section.names)]
    with Progress(*columns, console=console) as progress:
        if any(section.stored for section in sections):
            users = sum(map(sum, run.sizes.values()))
            filling = progress.add_task("Filling the databases", total=users)
            with report.surviving("data"):
                run.make_stores(lambda count: progress.advance(filling, count))
        measuring = progress.add_task("Measuring", total=len(names))
        for section in sections:
            with report.surviving(section.name):
                for name, find in section.measurements(run):
                    if name in names:
                        progress.update(measuring, description=f"Measuring {name}")
                        with report.surviving(name):
                            report.add(find())
                        progress.advance(measuring)


if __name__ == "__main__":
    typer.run(main)
