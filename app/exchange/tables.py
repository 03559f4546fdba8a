"""CSV: a file for each kind of record, with a column for each field, as RFC 4180 and spreadsheets write it."""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, Final, TextIO

from marshmallow import Schema

from postroom.app.exchange.cells import Columns, cells, put
from postroom.app.exchange.records import LONGEST_LINE, Record, UnreadableFileError, nearest


def write_table(stream: TextIO, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    """Writes records of one kind, whose columns are known before."""
    writer = csv.DictWriter(stream, columns, lineterminator="\r\n")
    writer.writeheader()
    for data in rows:
        writer.writerow(dict(cells(data)))


class Table:
    """A file with the records of one kind. Raises UnreadableFileError when its header is wrong."""

    def __init__(self, stream: BinaryIO, name: str, kind: str, schema: Schema, encoding: str = "utf-8") -> None:
        self.name, self.kind = name, kind
        self._columns = Columns(schema)
        self._encoding = _checked(encoding)
        # Bytes that are no text become lone surrogates, so that their row can be named.
        self._text = io.TextIOWrapper(stream, self._encoding, "surrogateescape", newline="")
        csv.field_size_limit(LONGEST_LINE)
        try:
            head = self._text.readline(LONGEST_LINE)
        except UnicodeError:
            raise self._undecodable() from None
        self._separator = max(",;\t", key=head.count)
        self.header = [column.strip() for column in next(csv.reader([head], delimiter=self._separator), [])]
        self._check_header()

    def records(self) -> Iterator[Record]:
        """All records, also those that cannot be read. Empty rows are skipped.

        Raises UnreadableFileError where the file ends inside of a text.
        """
        rows, begin = csv.reader(self._text, delimiter=self._separator, strict=True), 2
        while True:
            place = f"{self.name}, line {begin}"
            try:
                row = next(rows, None)
            except csv.Error as error:
                # What follows may be the inside of a text as well as a row.
                raise UnreadableFileError(f"{place}: {error}. Is there a quotation mark without its partner?") from None
            except UnicodeError:
                raise self._undecodable() from None
            if row is None:
                return
            begin = rows.line_num + 2
            if any(row):
                yield self._record(row, place)

    def _check_header(self) -> None:
        name, header, columns = self.name, self.header, self._columns
        if not any(header):
            raise UnreadableFileError(f"{name} has no header: its first line names the columns, as in username,status")
        if any(_is_broken(column) for column in header):
            raise UnreadableFileError(f"{name}, line 1: {_NOT_UTF8}")
        wrong = [column for column in header if not columns.knows(column)]
        if wrong:
            told = ", ".join(f'"{column[:60]}"{nearest(column, columns.known)}' for column in wrong[:5])
            raise UnreadableFileError(f"{name}, line 1: unknown column {told}. Known are {', '.join(columns.known)}")
        taken: set[str] = {column[: dot.start()] for column in header for dot in re.finditer(r"\.", column)}
        for column in header:
            if column in taken:
                raise UnreadableFileError(f"{name}, line 1: two columns are about {column}")
            taken.add(column)

    def _undecodable(self) -> UnreadableFileError:
        return UnreadableFileError(f"{self.name} is not in the encoding {self._encoding}; name its --encoding")

    def _record(self, row: Sequence[str], place: str) -> Record:
        kind, header = self.kind, self.header
        if len(row) != len(header):
            return Record(kind, {}, place, [f"Has {len(row)} cells, and the header {len(header)}."], row)
        data: dict[str, Any] = {}
        for column, cell in zip(header, row, strict=True):
            if _is_broken(cell):
                return Record(kind, {}, place, [f"{column}: {_NOT_UTF8}"], row)
            if cell.strip():
                put(data, column, self._columns.parse(column, cell))
        return Record(kind, data, place, (), row)


#: Names of Python that stand for no encoding of tables: what they make of bytes need not be whole characters.
_UNFIT: Final = frozenset({"raw-unicode-escape", "unicode-escape", "utf-7", "idna", "punycode", "undefined"})


def _checked(encoding: str) -> str:
    """The name of an encoding, for UTF-8 that with a mark of the byte order. Raises UnreadableFileError."""
    try:
        name = codecs.lookup(encoding).name
        "".encode(name)  # not of what is no encoding of texts, such as hex
    except (LookupError, UnicodeError):
        name = ""
    if not name or name.replace("_", "-") in _UNFIT:
        raise UnreadableFileError(f"There is no such encoding of tables: {encoding[:60]}")
    return "utf-8-sig" if name == "utf-8" else name


_NOT_UTF8: Final = "Not UTF-8. Save the file as UTF-8, or name its --encoding."


def _is_broken(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
