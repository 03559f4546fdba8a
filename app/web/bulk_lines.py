"""Loads the lines of a bulk request, each by the schema of its single operation."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from marshmallow import Schema

from postroom.app.errors import InvalidError, PostroomError, TooLargeError
from postroom.app.transactions.bulk import Line
from postroom.app.web.inputs import by_size, for_fields, load
from postroom.app.web.json_texts import parse
from postroom.app.web.ndjson import LineReader, RawLine
from postroom.schemas.bulk import BulkCreateSchema, BulkDeleteSchema, BulkLineSchema
from postroom.schemas.users import UserPatchSchema

_SCHEMAS: Final[Mapping[str, Schema]] = {
    "create": BulkCreateSchema(),
    "patch": UserPatchSchema(),
    "delete": BulkDeleteSchema(),
}
_LINE: Final = BulkLineSchema(only=("ifMatch",))
#: Lines that are loaded before other requests get a turn.
_SLICE: Final = 4


async def load_lines(reader: LineReader, first: Sequence[RawLine]) -> AsyncIterator[list[Line]]:
    """The lines from the `first` ones on, as many at a time as arrive."""
    raw = first
    while raw:
        lines = []
        for number, octets in raw:
            lines.append(await by_size(octets or b"", _load_line, number, octets))
            if len(lines) % _SLICE == 0:
                await asyncio.sleep(0)
        yield lines
        raw = await reader.read()


def _load_line(number: int, octets: bytes | None) -> Line:
    line = Line(number)
    try:
        if octets is None:
            raise TooLargeError("The line is longer than 1 MiB")
        _fill(line, parse(octets, "line"))
    except PostroomError as error:
        line.error = error
    return line


def _fill(line: Line, data: Any) -> None:
    if not isinstance(data, dict):
        raise InvalidError("The line must be a JSON object")
    actions = [name for name in _SCHEMAS if name in data]
    if len(actions) != 1:
        raise InvalidError("The line must have exactly one of create, patch and delete")
    (action,) = actions
    about = data.pop(action)
    if not isinstance(about, dict):
        raise InvalidError.field(action, "Must be a JSON object.")
    if data:
        # An ETag without its quotation marks; a weak one never matches (RFC 9110, 13.1.1).
        line.allowed = frozenset([load(_LINE, data)["ifMatch"].strip('"')])
    line.action = action
    loaded = load(for_fields(_SCHEMAS[action], about), about)
    if action != "create":
        line.user = _user(loaded)
    line.data = loaded


def _user(data: dict[str, Any]) -> int | str:
    if "ID" in data:
        return int(data.pop("ID"))
    if "username" in data:
        return str(data.pop("username"))
    raise InvalidError("The line must name the user by ID or username")
