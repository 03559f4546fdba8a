"""The examples of the OpenAPI document: calls in `examples.json`, which a test plays against a running service.

A file of its own, because no handler needs it: it is read when the document is built.
"""

from pathlib import Path
from typing import Any

import orjson

JSON = dict[str, Any]


class Examples:
    """The examples, as an OpenAPI media type has them: `example` for one, `examples` by name for several."""

    def __init__(self, entries: list[JSON]) -> None:
        # One that is being added has no answer yet.
        self._entries = [entry for entry in entries if "answer" in entry]

    def requests(self, operation_id: str) -> JSON:
        """Bodies of the operation that are answered with success."""
        found = [entry for entry in self._of(operation_id) if entry["status"] < 300]
        bodies = [(entry, entry.get("body", entry.get("form"))) for entry in found]
        return _media({entry.get("name", "plain"): body for entry, body in bodies if body is not None})

    def answers(self, operation_id: str, status: int) -> JSON:
        """Answers of the operation with this status."""
        found = [entry for entry in self._of(operation_id) if entry["status"] == status]
        return _media({entry.get("name", "plain"): entry["answer"] for entry in found})

    def failures(self, status: int) -> JSON:
        """Answers of any operation with this status, by the name of the operation."""
        found = {entry["operation"]: entry["answer"] for entry in self._entries if entry["status"] == status}
        return {"examples": {name: {"value": answer} for name, answer in found.items()}} if found else {}

    def _of(self, operation_id: str) -> list[JSON]:
        return [entry for entry in self._entries if entry["operation"] == operation_id]


def _media(values: dict[str, Any]) -> JSON:
    if len(values) == 1:
        return {"example": next(iter(values.values()))}
    if not values:
        return {}
    return {"examples": {name: {"value": value} for name, value in values.items()}}


def load() -> Examples:
    """Reads the file."""
    return Examples(orjson.loads(Path(__file__).with_name("examples.json").read_bytes()))
