"""A process whose disk and clock do what the tests want: compiles shim.c, and shares its page with the process."""

import mmap
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntFlag
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Final, Self

_SOURCE: Final = Path(__file__).with_name("shim.c")
#: The numbers of the page, in order.
_FIELDS: Final = ("calls", "files", "error", "skip", "count", "seen", "failed", "clock", "lie")


class Calls(IntFlag):
    """What may fail."""

    READ = 1
    WRITE = 2
    SYNC = 4
    OPEN = 8
    RESIZE = 16
    NAMES = 32


class Files(IntFlag):
    """Where."""

    DATABASE = 1
    WAL = 2
    MEMORY = 4
    KEYS = 8
    FOLDER = 16
    OTHER = 32


ALL_FILES: Final = Files(63)


@cache
def library() -> Path:
    """The compiled library."""
    target = Path(mkdtemp(prefix="shim-")) / "shim.so"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Wno-nonnull-compare", "-o", target, _SOURCE, "-ldl", "-lpthread"],
        check=True,
    )
    return target


class Shim:
    """The page of one process (and its children) for the files below a folder; use it as a context manager."""

    def __init__(self, folder: Path, *, record: bool = False) -> None:
        self.folder = folder
        #: What the process does with its files, if recorded.
        self.log = folder.with_name(f"{folder.name}.log")
        page = folder.with_name(f"{folder.name}.control")
        page.write_bytes(bytes(mmap.PAGESIZE))
        self.log.touch()
        with page.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self.environ = {
            "LD_PRELOAD": str(library()),
            "TORTURE_FOLDER": str(folder),
            "TORTURE_CONTROL": str(page),
            **({"TORTURE_LOG": str(self.log)} if record else {}),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._page.close()

    @contextmanager
    def failing(self, calls: Calls, files: Files, error: int, skip: int = 0, count: int = -1) -> Iterator[None]:
        """Inside the block these calls fail, from the one after `skip` on, `count` times (-1: always)."""
        self._set(calls=0)  # the rest is not looked at meanwhile
        self._set(files=files, error=error, skip=skip, count=count, seen=0, failed=0)
        self._set(calls=calls)
        try:
            yield
        finally:
            self._set(calls=0)

    @property
    def seen(self) -> int:
        """How many calls were meant by failing()."""
        return self._get("seen")

    @property
    def failed(self) -> int:
        """How many of them have failed."""
        return self._get("failed")

    def move_clock(self, seconds: int) -> None:
        """The clock is so many seconds ahead of the real one from now on; what only measures time does not notice."""
        self._set(clock=seconds)

    def lie(self) -> None:
        """From now on a sync does nothing, and says that all is well."""
        self._set(lie=1)

    @property
    def position(self) -> int:
        """How much has been recorded."""
        return os.stat(self.log).st_size  # noqa: PTH116 - often

    def _set(self, **values: int) -> None:
        for name, value in values.items():
            struct.pack_into("q", self._page, 8 * _FIELDS.index(name), value)

    def _get(self, name: str) -> int:
        (value,) = struct.unpack_from("q", self._page, 8 * _FIELDS.index(name))
        return int(value)
