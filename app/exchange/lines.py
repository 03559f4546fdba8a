"""NDJSON: each line is a JSON object with one record, `{"user": {"username": "anna@example.org", …}}`."""

from collections.abc import Collection, Iterator
from typing import Any, BinaryIO

import orjson

from postroom.app.exchange.records import LONGEST_LINE, Record, nearest

_BOM = b"\xef\xbb\xbf"


def line_of(kind: str, data: Any) -> bytes:
    """A record as a line."""
    return orjson.dumps({kind: data}, option=orjson.OPT_APPEND_NEWLINE)


def read_lines(stream: BinaryIO, name: str, kinds: Collection[str]) -> Iterator[Record]:
    """The records of a file, also those that cannot be read. Empty lines are skipped."""
    number = 0
    while raw := stream.readline(LONGEST_LINE + 1):
        number += 1
        place = f"{name}, line {number}"
        if len(raw) > LONGEST_LINE:
            while raw and not raw.endswith(b"\n"):
                raw = stream.readline(LONGEST_LINE)
            yield Record("", {}, place, [f"Longer than {LONGEST_LINE:,} bytes."])
            continue
        text = raw.removeprefix(_BOM) if number == 1 else raw
        if text.strip():
            yield _record(text, place, kinds)


def _record(raw: bytes, place: str, kinds: Collection[str]) -> Record:
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return Record("", {}, place, [f"Not JSON: {error}"], raw)
    if not isinstance(found, dict) or len(found) != 1:
        return Record("", {}, place, [f"Must be an object with one of {', '.join(sorted(kinds))}."], raw)
    ((kind, data),) = found.items()
    if kind not in kinds:
        hint = nearest(kind, kinds) or f"; there are {', '.join(sorted(kinds))}."
        return Record("", {}, place, [f"There is no kind {kind[:100]!r}{hint}"], raw)
    return Record(kind, data, place, (), raw)
