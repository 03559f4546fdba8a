"""Bounds the size of a row: whatever is left out, the row says so."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

#: Characters of a text, members of a list, and bytes of all changes together.
LONGEST_TEXT: Final = 200
MOST_MEMBERS: Final = 50
LARGEST: Final = 16 * 1024
#: The field that says what is missing.
MORE: Final = "..."


def trimmed(changes: Mapping[str, list[Any]]) -> str:
    """The JSON of changes, within the bounds."""
    text = orjson.dumps({name: [_short(value) for value in pair] for name, pair in changes.items()})
    if len(text) <= LARGEST:
        return text.decode()
    kept: dict[str, Any] = {}
    room = LARGEST - 100
    for name, pair in changes.items():
        member = {name[:LONGEST_TEXT]: [_short(value) for value in pair]}
        room -= len(orjson.dumps(member))
        if room < 0:
            break
        kept |= member
    kept[MORE] = [f"{len(changes) - len(kept)} more fields", None]
    return orjson.dumps(kept).decode()


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else f"{value[:LONGEST_TEXT]}... ({len(value)} characters)"
    if isinstance(value, list):
        kept = [_short(member) for member in value[:MOST_MEMBERS]]
        return kept if len(value) <= MOST_MEMBERS else [*kept, f"... and {len(value) - MOST_MEMBERS} more"]
    if isinstance(value, dict):
        return {_short(name): _short(member) for name, member in list(value.items())[:MOST_MEMBERS]}
    return value
