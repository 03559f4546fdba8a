"""Writes records into files: all into one of lines, or each kind into a table of its own."""

import io
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

from postroom.app.exchange.cells import cells
from postroom.app.exchange.lines import line_of
from postroom.app.exchange.records import UnreadableFileError
from postroom.app.exchange.tables import write_table
from postroom.storage.files import flush
from postroom.storage.seeds import SECTIONS

Records = Iterable[tuple[str, dict[str, Any]]]


def write_lines(records: Records, stream: BinaryIO) -> None:
    """NDJSON."""
    stream.writelines(line_of(kind, data) for kind, data in records)


def write_tables(records: Records, folder: Path) -> None:
    """CSV: `users.csv` and so on. Raises OSError."""
    with ExitStack() as stack:
        # The columns are known when all is read, and all is more than fits into memory.
        kept: dict[str, tuple[IO[bytes], dict[str, None]]] = {}
        for kind, data in records:
            if kind not in kept:
                kept[kind] = stack.enter_context(tempfile.TemporaryFile()), {}
            stream, columns = kept[kind]
            stream.write(line_of(kind, data))
            columns.update(dict.fromkeys(column for column, _ in cells(data)))
        for kind, (stream, columns) in kept.items():
            stream.seek(0)
            raw = private_file(folder / f"{SECTIONS[kind]}.csv")
            with io.TextIOWrapper(raw, encoding="utf-8", newline="") as table:
                write_table(table, [*columns], (json.loads(line)[kind] for line in stream))
                table.flush()
                os.fsync(table.fileno())


def private_file(path: Path) -> BinaryIO:
    """Makes a file that only its owner may read. Raises OSError, also when there is one already."""
    # O_EXCL follows no link: in a shared folder, another user may have put one there that leads elsewhere.
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")  # noqa: PTH123


def check_free(path: Path) -> None:
    """Raises UnreadableFileError when there is something already: nothing is ever overwritten."""
    if os.path.lexists(path):
        raise UnreadableFileError(f"There is {path} already; name another, or move it away")


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file for its owner alone, which has its name when it is complete. Raises UnreadableFileError, OSError."""
    check_free(path)
    # Not below a name that others know: whoever makes that file first would own what is written into it.
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as made:
        part = Path(made, path.name)
        with private_file(part) as stream:
            yield stream
        flush(part)
        part.rename(path)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder for its owner alone, which has its name when it is complete. Raises UnreadableFileError, OSError."""
    check_free(path)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as made:
        part = Path(made, path.name)
        part.mkdir(mode=0o700)
        yield part
        part.rename(path)
