"""Where something stands in a seed."""

import difflib
import re
from collections.abc import Iterator
from typing import Any, Final

from marshmallow import Schema, fields

#: A field and the reason that it is refused for.
_FIELD: Final = re.compile(r"([A-Za-z]\w*(?:\.\w+)*): (.*)", re.DOTALL)

#: What marshmallow says of a field that a schema does not have.
UNKNOWN_FIELD: Final = "Unknown field."

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


def meant(schema: Schema, place: Place) -> str:
    """What can stand in the place of an unknown field: the most similar one, or else all that there are."""
    for part in place[:-1]:
        field = schema.fields.get(str(part))
        inner = field.inner if isinstance(field, fields.List) else field
        if isinstance(inner, fields.Nested):
            schema = inner.schema
    similar = difflib.get_close_matches(str(place[-1]), schema.fields, n=1, cutoff=0.7)
    return f"Do you mean {similar[0]}?" if similar else f"Known ones: {', '.join(schema.fields)}."
