"""The examples of the OpenAPI document: calls in `examples/`, which a test runs against a real service.

Each operation has one file, named by its operation ID. The files are read when the document is built; no handler needs
them.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import orjson

JSON = dict[str, Any]

FOLDER: Final = Path(__file__).with_name("examples")


class Examples:
    """The examples in the form of an OpenAPI media type: `example` for one, `examples` by name for several."""

    def __init__(self, entries: Iterable[JSON]) -> None:
        # An example that is being written has no answer yet.
        self._entries = [entry for entry in entries if "answer" in entry]

    def requests(self, operation_id: str) -> JSON:
        """Request bodies of the operation that succeed."""
        found = [entry for entry in self._of(operation_id) if entry["status"] < 300]
        bodies = [(entry, entry.get("body", entry.get("form", _text(entry.get("lines"))))) for entry in found]
        return _media({entry.get("name", "plain"): body for entry, body in bodies if body is not None})

    def answers(self, operation_id: str, status: int) -> JSON:
        """Response bodies of the operation with this status."""
        found = [entry for entry in self._of(operation_id) if entry["status"] == status]
        return _media({entry.get("name", "plain"): _shown(entry) for entry in found})

    def failures(self, status: int) -> JSON:
        """Response bodies of all operations with this status, by operation ID."""
        found = {entry["operation"]: entry["answer"] for entry in self._entries if entry["status"] == status}
        return {"examples": {name: {"value": answer} for name, answer in found.items()}} if found else {}

    def _of(self, operation_id: str) -> list[JSON]:
        return [entry for entry in self._entries if entry["operation"] == operation_id]


def _shown(entry: JSON) -> Any:
    # The response to lines is lines, unless it is an error.
    return _text(entry["answer"]) if "lines" in entry and entry["status"] < 300 else entry["answer"]


def _text(lines: list[JSON] | None) -> str | None:
    return None if lines is None else "".join(f"{orjson.dumps(line).decode()}\n" for line in lines)


def _media(values: dict[str, Any]) -> JSON:
    if len(values) == 1:
        return {"example": next(iter(values.values()))}
    if not values:
        return {}
    return {"examples": {name: {"value": value} for name, value in values.items()}}


def load() -> list[JSON]:
    """The entries of all files in the order of their `step`; `operation` is the name of the file."""
    files = sorted(FOLDER.glob("*.json"))
    entries = [{"operation": file.stem, **entry} for file in files for entry in orjson.loads(file.read_bytes())]
    return sorted(entries, key=lambda entry: entry["step"])
