"""Where something stands in a seed."""

import re
from collections.abc import Iterator
from typing import Any, Final

#: A field and the reason that it is refused for.
_FIELD: Final = re.compile(r"([A-Za-z]\w*(?:\.\w+)*): (.*)", re.DOTALL)

#: Names of fields, and places in lists.
Place = tuple[str | int, ...]


def reasons_of(messages: Any, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """The place and the reason of each of marshmallow's messages."""
    if isinstance(messages, dict):
        for key, value in messages.items():
            # "_schema" stands for the whole entry.
            yield from reasons_of(value, place if key == "_schema" else (*place, key))
        return
    for reason in messages if isinstance(messages, list) else [messages]:
        yield place, str(reason)


def line_of(place: Place, lines: dict[Place, int]) -> int | None:
    """The line of the place, or of what it is in."""
    return next((lines[place[:size]] for size in range(len(place), 0, -1) if place[:size] in lines), None)


def placed(place: Place, reason: str) -> tuple[Place, str]:
    """The place of a reason that begins with the name of a field, such as `fetchmail.0.srcUser: Missing data`."""
    found = _FIELD.fullmatch(reason)
    if found is None:
        return place, reason
    return (*place, *(int(part) if part.isdigit() else part for part in found[1].split("."))), found[2]
