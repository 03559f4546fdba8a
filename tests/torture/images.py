"""Looks at what a disk may hold after a power loss at moments all over a record."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.torture.disk import Disk, Image, Start, records
from tests.torture.shim import Shim

NAME: Final = "store.sqlite3"
#: What is wrong with the database at this path, of which so much was recorded.
Check = Callable[[Path, int], list[str]]


@dataclass
class Images:
    """What was looked at: scenario -> number of images; and everything that must not be."""

    checked: dict[str, int] = field(default_factory=dict)
    #: Images of a load that were served and compared over HTTP.
    served: int = 0
    acknowledged: int = 0
    faults: list[str] = field(default_factory=list)
    seed: int = 0
    #: How many of each scenario are wanted.
    wanted: int = 0


def look(found: Images, scenario: str, shim: Shim, start: Start, check: Check, after: int = 0) -> None:
    """Builds images at moments all over the record, from `after` on, and checks each."""
    folder = shim.folder.with_name("image")
    found.checked[scenario] = 0
    random = Random(f"{scenario}{found.seed}")  # noqa: S311 - the same at each run
    disk, everything = Disk(start), list(records(shim.log))
    share = found.wanted / 5 / max(1, sum(record.end > after for record in everything))
    for record in everything:
        disk.do(record)
        if record.end <= after or random.random() > share:
            continue
        for how, image in disk.images(random):
            with _written(folder, shim.folder, image):
                found.checked[scenario] += 1
                try:
                    wrong = check(folder / NAME, record.end)
                except Exception as error:  # noqa: BLE001 - where something is missing, anything may break
                    wrong = [repr(error)]
                found.faults += [f"{scenario}, at {record.end}, {how}: {line}" for line in wrong]
            if disk.is_settled:
                break


@contextmanager
def _written(target: Path, folder: Path, image: Image) -> Iterator[None]:
    for path, content in image.items():
        file = target / Path(path).relative_to(folder)
        if not file.name.endswith("-shm"):  # the memory of processes that are gone
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)
            file.write_bytes(content)
    target.mkdir(exist_ok=True)
    try:
        yield
    finally:
        shutil.rmtree(target)


def column(connection: Any, sql: str) -> list[Any]:
    """The first column of all rows."""
    return [value for (value,) in connection.execute(sql)]
