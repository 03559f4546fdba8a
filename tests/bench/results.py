"""What was measured, and how it is shown."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


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


def show(console: Console, results: Sequence[Result]) -> None:
    """Prints the table."""
    table = Table(title="postroom against its goals")
    for heading in ("name", "what", "compared with"):
        table.add_column(heading, no_wrap=heading == "name")
    for heading in ("reference", "postroom", "ratio", "wanted", "reached"):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        table.add_row(
            result.name,
            result.what,
            result.against,
            "" if result.reference is None else _number(result.reference, result.unit),
            _number(result.measured, result.unit),
            "" if result.ratio is None else f"{result.ratio:.2f}",
            result.wanted,
            {True: "[green]yes[/]", False: "[red]no[/]", None: ""}[result.reached],
        )
    console.print(table)


def write_json(file: Path, results: Sequence[Result]) -> None:
    """The rows as a JSON array, for comparing runs."""
    rows = [asdict(result) | {"ratio": result.ratio} for result in results]
    file.write_text(json.dumps(rows, indent=2) + "\n")


def _number(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.2f} {unit}"
