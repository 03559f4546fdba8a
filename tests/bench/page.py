"""The page that shows the results."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.bench.results import HEADINGS, Result

#: What stands around the table.
BEGIN: Final = "<!-- Everything up to the end is made by `make plots`. -->"
END: Final = "<!-- The end. -->"


def write_table(page: Path, machine: dict[str, Any], rows: Sequence[Result]) -> None:
    """Replaces what is between the two marks of the page."""
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    measured = (
        f"Measured on {machine['date']} on {machine['cores']} cores with Python {machine['python']} and SQLite "
        f"{machine['sqlite']}."
    )
    lines = [f"| {' | '.join(cells)} |" for cells in (HEADINGS, ["---"] * len(HEADINGS), *map(_escaped, rows))]
    page.write_text("\n".join([f"{before}{BEGIN}", measured, "", *lines, f"{END}{after}"]), "utf-8")


def _escaped(row: Result) -> list[str]:
    return [cell.replace("|", "\\|") for cell in row.cells()]
