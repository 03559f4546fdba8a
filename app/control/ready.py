"""Tells the program that has started a server when it answers, and how to get in."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from postroom.app.server.binding import StartError

_STDERR: Final = 2


class Ready:
    """One line of JSON, for a descriptor and a file. Raises StartError when one of them cannot be written."""

    def __init__(self, descriptor: int | None, file: Path | None) -> None:
        self._descriptor = descriptor
        self._file = file
        if descriptor is not None:
            try:
                os.fstat(descriptor)
            except OSError:
                raise StartError(
                    f"--ready-fd {descriptor}: the descriptor is not open; open it for the command: {descriptor}>ready"
                ) from None
        if file is not None and not os.access(file.parent, os.W_OK):
            raise StartError(f"--ready-file {file}: the folder cannot be written")

    def __bool__(self) -> bool:
        return self._descriptor is not None or self._file is not None

    @contextlib.contextmanager
    def file(self) -> Iterator[None]:
        """The file is not there before it is told, nor after the block: nobody takes an old one for this server's."""
        self._remove()
        try:
            yield
        finally:
            self._remove()

    def tell(self, what: dict[str, Any]) -> None:
        """Writes it; the file appears as a whole."""
        line = json.dumps(what) + "\n"
        if self._file is not None:
            try:
                _write(self._file, line)
            except OSError as error:
                raise self._unusable(error) from None
        if self._descriptor is not None:
            try:
                # The standard streams stay open: otherwise something else would get their numbers.
                with os.fdopen(self._descriptor, "w", encoding="utf-8", closefd=self._descriptor > _STDERR) as pipe:
                    pipe.write(line)
            except OSError as error:
                raise StartError(f"--ready-fd {self._descriptor}: cannot be written ({error.strerror})") from None

    def _remove(self) -> None:
        if self._file is not None:
            try:
                self._file.unlink(missing_ok=True)
            except OSError as error:
                raise self._unusable(error) from None

    def _unusable(self, error: OSError) -> StartError:
        return StartError(f"--ready-file {self._file}: cannot be written ({error.strerror})")


def _write(path: Path, line: str) -> None:
    # Only its owner may read it, because it has a login.
    descriptor, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(line)
        Path(made).replace(path)
    except BaseException:
        Path(made).unlink()
        raise
