"""Shows what `python -m tests.bench --json` has written: `python -m tests.bench.plots`.

The table goes into a page, between two marks, and the plots beside the results.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import matplotlib as mpl
import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.bench.page import write_table
from tests.bench.results import Point, read_report

_DOCS = Path(__file__).parents[2] / "docs"
_RESULTS, _PAGE = _DOCS / "performance" / "results.json", _DOCS / "performance.md"
#: Text stays text, so that a file is small and can be searched; and the same figures make the same file.
_STYLE: Final[dict[Any, Any]] = {"svg.fonttype": "none", "svg.hashsalt": "postroom", "font.size": 9}
_MARKERS: Final = "os^vD<>pPX*h"


def main(
    results: Annotated[Path, typer.Argument(help="What the benchmark has written.")] = _RESULTS,
    page: Annotated[Path, typer.Option(help="The page that has the table.")] = _PAGE,
) -> None:
    """Write the table into the page, and the plots beside the results."""
    machine, rows, points = read_report(results)
    write_table(page, machine, rows)
    for name, draw in (("lists", draw_lists), ("connections", draw_connections)):
        # Where nothing was measured, the plot of the last run stays.
        if of_plot := [point for point in points if point.plot == name]:
            draw(results.with_name(f"{name}.svg"), of_plot)


def draw_lists(file: Path, points: Sequence[Point]) -> None:
    """Time by stored users, both logarithmic."""
    with _plot(file, "Median time of a list by the users of its domain", "users", "milliseconds") as axes:
        _draw_lines(axes, points)
        axes.set_xscale("log")
        axes.set_yscale("log")


def draw_connections(file: Path, points: Sequence[Point]) -> None:
    """Throughput by connections."""
    title = "Requests a second by the connections that ask at the same time"
    with _plot(file, title, "connections", "requests a second") as axes:
        _draw_lines(axes, points)
        axes.set_xscale("log", base=2)
        numbers = sorted({point.x for point in points})
        axes.set_xticks(numbers, [f"{number:g}" for number in numbers])
        axes.set_ylim(bottom=0)


@contextlib.contextmanager
def _plot(file: Path, title: str, x: str, y: str) -> Iterator[Axes]:
    """What the block draws is saved as this file."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8.5, 4.5), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(title)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.grid(visible=True, alpha=0.3)
        axes.set_prop_cycle(color=mpl.color_sequences["tab20"])
        yield axes
        figure.savefig(file, format="svg", metadata={"Date": None})
    # matplotlib leaves spaces at the ends of lines.
    file.write_text("\n".join(line.rstrip() for line in file.read_text("utf-8").splitlines()) + "\n", "utf-8")


def _draw_lines(axes: Axes, points: Sequence[Point]) -> None:
    for number, name in enumerate(dict.fromkeys(point.line for point in points)):
        line = sorted((point.x, point.y) for point in points if point.line == name)
        marker = _MARKERS[number % len(_MARKERS)]
        axes.plot([x for x, _ in line], [y for _, y in line], marker=marker, markersize=4, linewidth=1.2, label=name)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


if __name__ == "__main__":
    typer.run(main)
