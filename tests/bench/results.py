"""What was measured, and how it is shown and written."""

import contextlib
import json
import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from postroom.storage.sqlite import VERSION


@dataclass(frozen=True, slots=True)
class Result:
    """One row. Without a goal `wanted` is empty and `reached` None."""

    name: str
    what: str
    unit: str
    measured: float
    #: What it was compared with, and what that reached.
    against: str = ""
    reference: float | None = None
    wanted: str = ""
    reached: bool | None = None

    @property
    def ratio(self) -> float | None:
        """Measured to reference."""
        return self.measured / self.reference if self.reference else None

    def at_least_times(self, least: float) -> "Result":
        """The row with a goal: so many times the reference, or more."""
        return replace(self, wanted=f"≥ {least:.2f}", reached=self.measured >= least * (self.reference or 0))

    def at_most_times(self, most: float) -> "Result":
        """The row with a goal: so many times the reference, or less."""
        return replace(self, wanted=f"≤ {most:.2f}", reached=self.measured <= most * (self.reference or 0))

    def cells(self) -> list[str]:
        """The row as texts."""
        return [
            self.name,
            self.what,
            self.against,
            "" if self.reference is None else _number(self.reference, self.unit),
            _number(self.measured, self.unit),
            "" if self.ratio is None else f"{self.ratio:.2f}",
            self.wanted,
            {True: "yes", False: "no", None: ""}[self.reached],
        ]


#: What the cells of a row are.
HEADINGS = ("name", "what", "compared with", "reference", "postroom", "ratio", "wanted", "reached")


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a line in one of the plots."""

    plot: str
    line: str
    x: float
    y: float


#: What a measurement finds.
Found = Result | Point


@dataclass
class Report:
    """Everything that a run has found so far, and why something could not be measured."""

    results: list[Result] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    #: Where it is written after each measurement, so that even a run that is killed leaves it behind.
    file: Path | None = None

    def add(self, found: Found | Iterable[Found]) -> None:
        """Adds what a measurement has found."""
        for one in [found] if isinstance(found, (Result, Point)) else found:
            if isinstance(one, Result):
                self.results.append(one)
            else:
                self.points.append(one)
        self._write()

    @contextlib.contextmanager
    def surviving(self, name: str) -> Iterator[None]:
        """Whatever breaks in the block is noted under this name, and the run goes on."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a measurement may break in any way, and the others still count
            self.broken.append(f"{name}: {type(error).__name__}: {error}")
            self._write()

    def show(self, console: Console) -> None:
        """Prints the table, and what broke."""
        table = Table(title="postroom against its goals")
        for heading in HEADINGS:
            is_text = heading in HEADINGS[:3]
            table.add_column(heading, justify="left" if is_text else "right", no_wrap=heading not in HEADINGS[1:3])
        colours = {"yes": "[green]yes[/]", "no": "[red]no[/]"}
        for result in self.results:
            *cells, reached = result.cells()
            table.add_row(*cells, colours.get(reached, ""))
        console.print(table)
        for reason in self.broken:
            console.print(f"The benchmark broke: {reason}", style="red", highlight=False, markup=False)

    def _write(self) -> None:
        if self.file is not None:
            document = {
                "machine": _machine(),
                "results": [asdict(result) | {"ratio": result.ratio} for result in self.results],
                "points": [asdict(point) for point in self.points],
                "broken": self.broken,
            }
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(json.dumps(document, indent=2) + "\n", "utf-8")


def read_report(file: Path) -> tuple[dict[str, Any], Sequence[Result], Sequence[Point]]:
    """What was written: the machine, the rows and the points."""
    document = json.loads(file.read_text("utf-8"))
    rows = [{name: value for name, value in row.items() if name != "ratio"} for row in document["results"]]
    return document["machine"], [Result(**row) for row in rows], [Point(**point) for point in document["points"]]


def at_most(name: str, what: str, unit: str, measured: float, most: float) -> Result:
    """A row whose goal is a bound in its own unit."""
    return Result(name, what, unit, measured, wanted=f"≤ {most:g} {unit}", reached=measured <= most)


def _machine() -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "sqlite": VERSION,
    }


def _number(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.2f} {unit}"
