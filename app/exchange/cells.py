"""Values as cells of a CSV file, and back.

A cell is what people would write: a text, a number, `true`, names with spaces between them. Whatever that cannot say
(an empty text, a text that a spreadsheet would compute, a list of objects) is JSON. An empty cell says nothing.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson
from marshmallow import Schema, fields

from postroom.schemas.properties import Properties
from postroom.schemas.values import proptags
from postroom.schemas.values.proptags import Kind

#: Texts that begin so would be read as JSON, or computed by a spreadsheet (OWASP, CSV Injection).
_TO_QUOTE: Final = ('"', "[", "{", "=", "+", "-", "@", "\t", "\r", "\n")
#: Where a spreadsheet divides at semicolons, tabs or line ends, a cell begins inside of a text.
_INNER_CELL: Final = re.compile(r"[;\t\n][\s\"']*[=+\-@]")
_SEPARATORS: Final = re.compile(r"[\s,;]+")
_INTEGER: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_FIELDS: Final[Mapping[Kind | None, fields.Field[Any]]] = {
    Kind.BOOLEAN: fields.Boolean(), Kind.INTEGER: fields.Integer()
}  # fmt: skip
#: More than any column has.
_MOST_DOTS: Final = 8
_TRUTH: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def cells(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(column, cell) of each value; those in an object have columns with a dot: `properties.displayname`."""
    for name, value in data.items():
        if isinstance(value, dict) and value:
            yield from cells(value, f"{prefix}{name}.")
        else:
            yield prefix + name, _cell(value)


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value if _is_plain(value) else _json(value)
    if isinstance(value, list) and value and all(isinstance(each, str) and _is_word(each) for each in value):
        return " ".join(value)
    return _json(value)


def _is_plain(text: str) -> bool:
    return text not in ("", "null") and not text.startswith(_TO_QUOTE) and text == text.strip() and _is_one_cell(text)


def _is_one_cell(text: str) -> bool:
    return "\r" not in text and not _INNER_CELL.search(text)


def _is_word(text: str) -> bool:
    return _is_plain(text) and not _SEPARATORS.search(text)


def _json(value: Any) -> str:
    # Escaped, a semicolon divides nothing; JSON has them in texts only.
    return json.dumps(value, ensure_ascii=False).replace(";", "\\u003b")


def parse_cell(text: str, field: fields.Field[Any] | None) -> Any:
    """The value of a cell that is not empty, for a field of a schema; None: for one that is not described.

    What is no value of the field comes back as it is, and the schema says so.
    """
    if text == "null":
        return None
    if text.startswith(('"', "[", "{")):
        try:
            # Not json.loads(): it knows NaN, and no end of nesting.
            return orjson.loads(text)
        except ValueError:
            return text
    match field:
        case fields.Boolean():
            return _TRUTH.get(text.strip().lower(), text)
        case fields.Integer():
            return _integer(text)
        case fields.List():
            return [parse_cell(word, field.inner) for word in _SEPARATORS.split(text.strip())]
    return text


def _integer(text: str) -> int | str:
    return int(text) if _INTEGER.fullmatch(text.strip()) else text


class Columns:
    """What the columns of a file stand for, by the schema of its records."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    @property
    def known(self) -> list[str]:
        """The columns that always exist; properties and other names of one's own come with them."""
        return [*self._schema.fields]

    def knows(self, column: str) -> bool:
        """Whether such a column can exist."""
        return column.count(".") <= _MOST_DOTS and column.partition(".")[0] in self._schema.fields

    def parse(self, column: str, text: str) -> Any:
        """The value of a cell that is not empty."""
        field, name = self._field(column)
        if isinstance(field, Properties) and name:
            return _property(name, text)
        return parse_cell(text, field)

    def _field(self, column: str) -> tuple[fields.Field[Any] | None, str]:
        """The field of a column, and the name inside it if it has names of its own."""
        name, _, rest = column.partition(".")
        field: fields.Field[Any] | None = self._schema.fields.get(name)
        while rest and isinstance(field, fields.Nested):
            name, _, rest = rest.partition(".")
            field = field.schema.fields.get(name)
        return field, rest


def _property(name: str, text: str) -> Any:
    tag = proptags.find(name)
    if tag is None:
        return parse_cell(text, None)
    single = _FIELDS.get(tag.kind, fields.String())
    return parse_cell(text, fields.List(single) if tag.multi else single)


def put(data: dict[str, Any], column: str, value: Any) -> None:
    """Sets the value of a column with dots in nested objects."""
    *outer, name = column.split(".")
    for each in outer:
        data = data.setdefault(each, {})
    data[name] = value
