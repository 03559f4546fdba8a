"""Kills, power losses and faults of the disk, the clock and the machine, all under load: `python -m tests.torture`.

The table says what was done and what came of it. The exit code is 1 when an acknowledged write was lost, an answer was
wrong, a store was not sound, or the service did not recover by itself.
"""

import json
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from random import SystemRandom
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from tests.torture.faults import Extent
from tests.torture.parts import Part, of_faults, of_images, of_kills, of_mail, timed

_AT_A_TIME: Final = 3


def main(
    *,
    kill: Annotated[int, typer.Option("--kills", help="Kills on each engine.")] = 200,
    image: Annotated[int, typer.Option("--images", help="Images of the disk after a power loss.")] = 2000,
    call: Annotated[int, typer.Option("--calls", help="How many calls fail in turn, of each kind.")] = 40,
    pause: Annotated[float, typer.Option(help="Seconds for which a process stands still.")] = 60,
    mail: Annotated[float, typer.Option(help="Seconds for which mail servers ask.")] = 600,
    only: Annotated[str, typer.Option(help="Only the parts with this in their name.")] = "",
    seed: Annotated[int | None, typer.Option(help="Repeats the choices of an earlier run.")] = None,
    to_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file, too.")] = None,
) -> None:
    """Torture a service, and look what it loses."""
    chosen = SystemRandom().randrange(1_000_000) if seed is None else seed
    parts: dict[str, tuple[Callable[..., Part], *tuple[object, ...]]] = {
        "kills on postgresql": (of_kills, "postgresql", kill, chosen),
        "kills on sqlite": (of_kills, "sqlite", kill, chosen),
        "faults": (of_faults, Extent(call, pause), chosen),
        "power losses": (of_images, image, chosen),
        "mail": (of_mail, mail, chosen),
    }
    with ProcessPoolExecutor(_AT_A_TIME, mp_context=get_context("spawn")) as pool:
        running = [pool.submit(timed, name, *part) for name, part in parts.items() if only in name]
        done = [future.result() for future in as_completed(running)]
    _show(done, chosen)
    if to_file is not None:
        found = {part.name: {**part.figures, "seconds": round(part.seconds), **part.acknowledged} for part in done}
        to_file.write_text(json.dumps({"seed": chosen, **found}, indent=2) + "\n")
    raise typer.Exit(any(part.faults for part in done))


def _show(parts: list[Part], seed: int) -> None:
    table = Table("Part", "What", "How many", title=f"Torture, seed {seed}")
    for part in parts:
        for number, (what, count) in enumerate(part.figures.items()):
            table.add_row("" if number else f"{part.name} ({part.seconds:.0f} s)", what, f"{count:,}")
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(part.acknowledged.items()))
        table.add_row("", kinds, "", end_section=True)
    # Away from a terminal the table gets the room that it needs.
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(table)
    for part in parts:
        for line in part.faults[:20]:
            console.print(f"{part.name}: {line}", markup=False)


if __name__ == "__main__":
    typer.run(main)
