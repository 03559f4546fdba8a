"""The list of operations in docs/api.md, made from the description of the API.

python -m tests.support.api_page        writes the list into the page
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from postroom.app.openapi.document import build
from postroom.app.routes import BASE, ROUTES

PAGE: Final = Path(__file__).parents[2] / "docs" / "api.md"
MADE: Final = "<!-- All below is made by python -m tests.support.api_page. -->\n"


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(method, path, description) of each operation."""
    for path, methods in json.loads(build(BASE, ROUTES))["paths"].items():
        for method, operation in methods.items():
            if method != "parameters":
                yield method.upper(), path, operation


def operation_list() -> str:
    """A table for each group of operations, in the order of the route table."""
    rows: dict[str, list[str]] = defaultdict(list)
    for method, path, operation in operations():
        addition = " *(addition)*" if operation.get("x-postroom") else ""
        rows[operation["tags"][0]].append(
            f"| `{method}` | `{path}` | {operation['summary']}{addition} | `{operation['operationId']}` |"
        )
    descriptions = {tag["name"]: tag["description"] for tag in json.loads(build(BASE, ROUTES))["tags"]}
    head = "| Method | Path | What it does | Operation ID |\n|---|---|---|---|"
    return "\n".join(
        f"### {tag}\n\n{descriptions[tag]}.\n\n{head}\n" + "\n".join(lines) + "\n" for tag, lines in rows.items()
    )


def parts() -> tuple[str, str]:
    """(what was written by hand, what was made) of the page."""
    written, _, made = PAGE.read_text("utf-8").partition(MADE)
    return written, made


if __name__ == "__main__":
    PAGE.write_text(f"{parts()[0]}{MADE}\n{operation_list()}", "utf-8")
