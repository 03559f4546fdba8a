"""What a disk may hold after a power loss: built from a record of what a process has written and synced.

Whatever was synced is there. What was not may be there or not, in any order and in parts: a write goes to the disk in
sectors. The same holds for the entries of folders, each of which is there as a whole or not. This is the strictest
reading of POSIX, not that of a particular file system; ALICE and CrashMonkey work in the same way.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, auto
from pathlib import Path
from random import Random
from typing import Final

_HEAD: Final = struct.Struct("=IIIIQQQ")
_SECTORS: Final = (512, 4096)
#: Content of the files, by their path.
Image = dict[str, bytes]
#: Inode and content of the files, and of folders (None), before the first call.
Start = Mapping[Path, tuple[int, bytes | None]]


class Kind(IntEnum):
    """The records of shim.c."""

    CREATE = auto()
    PWRITE = auto()
    TRUNCATE = auto()
    FSYNC = auto()
    RENAME = auto()
    LINK = auto()
    UNLINK = auto()
    MKDIR = auto()


@dataclass(frozen=True, slots=True)
class Record:
    """One call that has succeeded; `end` is the size of the log after it."""

    kind: Kind
    inode: int
    offset: int
    first: str
    second: str
    data: bytes
    end: int


def records(log: Path) -> Iterator[Record]:
    """The calls in their order."""
    content = log.read_bytes()
    at = 0
    while at < len(content):
        kind, first, second, _, inode, offset, length = _HEAD.unpack_from(content, at)
        at += _HEAD.size
        paths = content[at : at + first].decode(), content[at + first : at + first + second].decode()
        at += first + second
        size = length if kind == Kind.PWRITE else 0
        yield Record(Kind(kind), inode, offset, *paths, content[at : at + size], at + size)
        at += size


@dataclass
class _File:
    """What is safely on the disk, and what is under way to it."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[Record] = field(default_factory=list)


def _apply(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def _resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))


class Disk:
    """A disk on which the recorded calls happen, one after the other."""

    def __init__(self, start: Start) -> None:
        self._files: dict[int, _File] = {}
        #: The names that are safely on the disk, and the changes of names that are under way.
        self._names: dict[str, _File] = {}
        self._pending: list[tuple[Record, _File | None]] = []
        self._folders: dict[int, str] = {}
        for path, (inode, content) in start.items():
            if content is None:
                self._folders[inode] = str(path)
            else:
                self._names[str(path)] = self._files[inode] = _File(bytearray(content))

    def do(self, record: Record) -> None:
        """The next call."""
        if record.kind in (Kind.PWRITE, Kind.TRUNCATE):
            self._files[record.inode].pending.append(record)
        elif record.kind == Kind.FSYNC and record.inode in self._folders:
            self._sync_folder(self._folders[record.inode])
        elif record.kind == Kind.FSYNC:
            file = self._files[record.inode]
            for each in file.pending:
                _carry_out(file.synced, each)
            file.pending.clear()
        else:
            if record.kind == Kind.CREATE:
                self._files[record.inode] = _File()
            elif record.kind == Kind.MKDIR:
                self._folders[record.inode] = record.first
            self._pending.append((record, self._files.get(record.inode)))

    def _sync_folder(self, folder: str) -> None:
        self._names = self._renamed([each for each in self._pending if _folder_of(each[0]) == folder])
        self._pending = [each for each in self._pending if _folder_of(each[0]) != folder]

    def _renamed(self, changes: list[tuple[Record, _File | None]]) -> dict[str, _File]:
        names = dict(self._names)
        for record, file in changes:
            if record.kind == Kind.CREATE and file is not None:
                names[record.first] = file
            elif record.kind == Kind.UNLINK:
                names.pop(record.first, None)
            elif record.first in names:
                names[record.second] = names[record.first]
                if record.kind == Kind.RENAME:
                    del names[record.first]
        return names

    def images(self, random: Random) -> Iterator[tuple[str, Image]]:
        """(how it came about, image) of some of the disks that a power loss may leave now."""
        yield "nothing that was not synced", self._image(random, 0.0, None)
        yield "everything", self._image(random, 1.0, None)
        for sector in _SECTORS:
            yield f"some sectors of {sector}", self._image(random, random.choice((0.1, 0.5, 0.9)), sector)
        yield "some writes", self._image(random, 0.5, None)

    @property
    def is_settled(self) -> bool:
        """Whether everything is synced, so that there is only one image."""
        return not self._pending and not any(file.pending for file in self._names.values())

    def _image(self, random: Random, share: float, sector: int | None) -> Image:
        done: list[tuple[Record, _File | None]] = []
        missing: list[tuple[Record, _File | None]] = []
        for each in self._pending:
            (done if random.random() < share else missing).append(each)
        gone = tuple(f"{record.first}/" for record, _ in missing if record.kind == Kind.MKDIR)
        return {
            path: self._content(file, random, share, sector)
            for path, file in self._renamed(done).items()
            if not path.startswith(gone)
        }

    def _content(self, file: _File, random: Random, share: float, sector: int | None) -> bytes:
        content = bytearray(file.synced)
        for each in file.pending:
            if sector is None or each.kind == Kind.TRUNCATE:
                if random.random() < share:
                    _carry_out(content, each)
                continue
            # The first and the last part end at the borders of sectors.
            at, end = each.offset, each.offset + len(each.data)
            while at < end:
                until = min(end, (at // sector + 1) * sector)
                if random.random() < share:
                    _apply(content, at, each.data[at - each.offset : until - each.offset])
                at = until
        return bytes(content)


def _carry_out(content: bytearray, record: Record) -> None:
    if record.kind == Kind.TRUNCATE:
        _resize(content, record.offset)
    else:
        _apply(content, record.offset, record.data)


def _folder_of(record: Record) -> str:
    return str(Path(record.second or record.first).parent)


def present(folder: Path) -> Start:
    """What is there now, for a Disk."""
    paths = (folder, *folder.rglob("*"))
    return {path: (path.stat().st_ino, None if path.is_dir() else path.read_bytes()) for path in paths}
