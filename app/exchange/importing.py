"""Reads records from files, and keeps those that were refused in files of the same form."""

import csv
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

from postroom.app.errors import InvalidError
from postroom.app.exchange.exporting import check_free, private_file
from postroom.app.exchange.lines import line_of, read_lines
from postroom.app.exchange.records import Record, UnreadableFileError
from postroom.app.exchange.tables import Table
from postroom.app.services.imports import Given
from postroom.app.transactions.imports import Later
from postroom.app.web.inputs import load
from postroom.schemas.records import KINDS
from postroom.storage.seeds import SECTIONS

#: Name of a table without ".csv" -> kind, in the order in which they are read.
_TABLES: Final = {**{section: kind for kind, section in SECTIONS.items()}, "access": "access"}


class Source:
    """The records of a file of lines, of a table, or of a folder of tables. Close it at the end.

    Raises UnreadableFileError, OSError.
    """

    def __init__(self, path: Path | None, stream: BinaryIO, encoding: str = "utf-8") -> None:
        """`path` None: the lines of `stream`."""
        self._stack = ExitStack()
        self.tables: list[Table] = []
        self._lines: tuple[BinaryIO, str] | None = None
        #: About how many records there are; 0: nobody knows.
        self.total = 0
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            self._open_all(path, stream, encoding)
            on_failure.pop_all()

    def _open_all(self, path: Path | None, stream: BinaryIO, encoding: str) -> None:
        if path is None:
            self._lines = stream, "input"
        elif path.is_dir():
            self.tables = [self._table(file, kind, encoding) for file, kind in _tables_in(path)]
        elif path.suffix.lower() in (".csv", ".tsv"):
            self.tables = [self._table(path, _TABLES.get(path.stem, "user"), encoding)]
        else:
            self._lines = self._open(path), path.name

    def _table(self, file: Path, kind: str, encoding: str) -> Table:
        return Table(self._open(file), file.name, kind, KINDS[kind], encoding)

    def _open(self, path: Path) -> BinaryIO:
        stream = self._stack.enter_context(path.open("rb"))
        if stream.seekable():
            while piece := stream.read(1024 * 1024):
                self.total += piece.count(b"\n")
            stream.seek(0)
        return stream

    def records(self) -> Iterator[Given]:
        """All records, also those that cannot be read."""
        if self._lines is not None:
            yield from map(_given, read_lines(*self._lines, KINDS))
        for table in self.tables:
            yield from map(_given, table.records())

    def close(self) -> None:
        """Closes the files."""
        self._stack.close()


def _tables_in(folder: Path) -> list[tuple[Path, str]]:
    found = [(folder / f"{name}.csv", kind) for name, kind in _TABLES.items() if (folder / f"{name}.csv").exists()]
    if not found:
        names = ", ".join(f"{name}.csv" for name in _TABLES)
        raise UnreadableFileError(f"{folder} has none of the files that are imported: {names}")
    return found


def _given(record: Record) -> Given:
    return Given(record.kind, partial(_loaded, record), record)


def _loaded(record: Record) -> Any:
    if record.faults:
        raise InvalidError(f"Invalid input: {record.faults[0]}", [*record.faults])
    return load(KINDS[record.kind], record.data)


def name_of(refused: Given | Later) -> str:
    """Where something that was refused stands, and whose it is."""
    if isinstance(refused, Later):
        return f"{refused.what} of {refused.name}"
    record: Record = refused.origin
    data = record.data if isinstance(record.data, dict) else {"name": record.data}
    name = next((data[field] for field in ("username", "domainname", "name") if isinstance(data.get(field), str)), "")
    return f"{record.place} ({name})" if name else record.place


class Rejects:
    """What was refused, in files that can be corrected and given again. They are made when there is something.

    Of lines it is a file of lines; of tables a folder with tables of the same columns. Close it at the end.
    """

    def __init__(self, path: Path | None, usual: Path, source: Source) -> None:
        """`path` None: `usual`, or if that is there already, the first free name like it. Nothing is ever overwritten:
        it may be what is read now, or what somebody is correcting. Raises UnreadableFileError.
        """
        if path is not None:
            check_free(path)
        self.path = path or _free(usual)
        self._tables = {table.kind: table for table in source.tables}
        self._open: dict[str, Any] = {}
        self._stack = ExitStack()

    def keep(self, refused: Given | Later) -> None:
        """Adds what was refused. Raises OSError."""
        if isinstance(refused, Later):
            self._keep_later(refused)
        elif self._tables:
            self._rows(refused.kind, self._tables[refused.kind].header).writerow(refused.origin.raw)
        else:
            raw: bytes = refused.origin.raw
            self._lines().write(raw if raw.endswith(b"\n") else raw + b"\n")

    def close(self) -> None:
        """Closes the files."""
        self._stack.close()

    def _keep_later(self, refused: Later) -> None:
        data = {"username": refused.name, refused.what: refused.value}
        if self._tables:
            fields = ["username", "delegates", "sendas", "storeAccess"]
            cells = {field: value if isinstance(value, str) else " ".join(value) for field, value in data.items()}
            self._rows("access", fields).writerow([cells.get(field, "") for field in fields])
        else:
            self._lines().write(line_of("access", data))

    def _lines(self) -> BinaryIO:
        if "" not in self._open:
            self._open[""] = self._stack.enter_context(private_file(self.path))
        return self._open[""]  # type: ignore[no-any-return]

    def _rows(self, kind: str, header: Sequence[str]) -> Any:
        if kind not in self._open:
            if not self._open:
                self.path.mkdir(mode=0o700)
            name = next(name for name, each in _TABLES.items() if each == kind)
            # Bytes that were no text are written as they were.
            raw = self._stack.enter_context(private_file(self.path / f"{name}.csv"))
            text = self._stack.enter_context(io.TextIOWrapper(raw, "utf-8", "surrogateescape", newline=""))
            self._open[kind] = csv.writer(text)
            self._open[kind].writerow(header)
        return self._open[kind]


def _free(usual: Path) -> Path:
    """`people.rejected.ndjson`, or `people.rejected-2.ndjson` and so on."""
    found, number = usual, 1
    while os.path.lexists(found):
        number += 1
        found = usual.with_name(f"{usual.stem}-{number}{usual.suffix}")
    return found
