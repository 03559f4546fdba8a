"""Results for people: tables where there is room for them, otherwise a block for each row."""

from collections.abc import Mapping, Sequence
from typing import Final

from postroom.app.cli import output

#: Most characters of a value in a table.
_LONGEST: Final = 200
#: Columns below which a table that does not fit becomes blocks.
_NARROW: Final = 80


def cell(value: object) -> str:
    """A value as one line, without what a terminal would interpret."""
    from postroom.schemas.values.text import printable

    match value:
        case None | "" | [] | ():
            return "-"
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(map(cell, value))
        case dict():
            return ", ".join(f"{name}: {cell(each)}" for name, each in value.items())
    text = printable(str(value))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def show_rows(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints a row for each thing; nothing if there is none."""
    if not rows:
        return
    texts = [[cell(value) for value in row] for row in rows]
    out = output.console()
    widths = [max(len(text) for text in column) for column in zip(headings, *texts, strict=True)]
    if out.width < _NARROW and sum(widths) + 2 * len(widths) > out.width:
        for row in texts:
            show_fields(dict(zip(headings, row, strict=True)))
            print()
        return
    from rich.text import Text

    table = output.new_table(*headings)
    for row in texts:
        table.add_row(*map(Text, row))
    out.print(table)


def show_fields(fields: Mapping[str, object]) -> None:
    """Prints a thing, a line for each field."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields.items():
        table.add_row(Text(name), Text(cell(value)))
    output.console().print(table)
