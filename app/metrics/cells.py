"""Numbers in memory that the workers of a service share.

Each worker has a row of its own and writes there alone, so nothing needs a lock; whoever answers a scrape adds up the
rows of all. The memory is made before the workers are forked and belongs to no file: nothing has to be cleared away,
and the worker that takes the place of a dead one goes on with its row, so no counter ever goes back.

Within a worker, a cell is written by one thread only: adding to it takes more than one step.
"""

import mmap
from collections.abc import Iterator
from typing import Final

#: Bytes of a number: a C double, which the processor reads and writes in one step.
_SIZE: Final = 8
#: Bytes of a name in `Names`, with its length before it.
_WIDTH: Final = 128


class Place:
    """Which of the workers this process is. Set it once, right after the fork."""

    __slots__ = ("worker", "workers")

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self.worker = 0


class Cells:
    """A row of numbers for each worker, all 0 at the beginning."""

    __slots__ = ("_place", "_rows")

    def __init__(self, place: Place, length: int) -> None:
        # There is no memory of no bytes, and commands have no operations.
        memory = memoryview(mmap.mmap(-1, place.workers * max(length, 1) * _SIZE)).cast("d")
        self._rows = [memory[number * length : (number + 1) * length] for number in range(place.workers)]
        self._place = place

    def add(self, cell: int, amount: float) -> None:
        """Adds to a cell of this worker."""
        self._rows[self._place.worker][cell] += amount

    def set(self, cell: int, value: float) -> None:
        """Sets a cell of this worker."""
        self._rows[self._place.worker][cell] = value

    def own(self) -> "memoryview[float]":
        """The row of this worker."""
        return self._rows[self._place.worker]

    def clear(self, worker: int) -> None:
        """Sets all cells of a worker that has ended to 0."""
        row = self._rows[worker]
        for cell in range(len(row)):
            row[cell] = 0.0

    def rows(self) -> list[list[float]]:
        """A copy of the row of each worker."""
        return [list(row) for row in self._rows]

    def totals(self) -> list[float]:
        """The sum over all workers, for each cell."""
        rows = self.rows()
        return rows[0] if len(rows) == 1 else [sum(column) for column in zip(*rows, strict=True)]


class Names:
    """A list of names for each worker, for a label whose values are not known at the start; at most `most`.

    The last place stands for all further names.
    """

    OTHER: Final = "other"

    def __init__(self, place: Place, most: int) -> None:
        self._memory = mmap.mmap(-1, place.workers * most * _WIDTH)
        self._place = place
        self.most = most
        #: Of this worker, once it has looked.
        self._known: dict[str, int] | None = None

    def number_of(self, name: str) -> int:
        """The number of a name in the list of this worker."""
        if self._known is None:
            # What the worker before this one has written.
            self._known = {each: number for number, each in self.of(self._place.worker)}
        number = self._known.get(name)
        if number is not None:
            return number
        number = len(self._known)
        if number >= self.most - 1:
            return self.most - 1
        self._known[name] = number
        raw = name.encode()[: _WIDTH - 1]
        start = (self._place.worker * self.most + number) * _WIDTH
        # The length last: until then nobody sees a half-written name.
        self._memory[start + 1 : start + 1 + len(raw)] = raw
        self._memory[start] = len(raw)
        return number

    def of(self, worker: int) -> Iterator[tuple[int, str]]:
        """The numbers and names of a worker."""
        for number in range(self.most - 1):
            start = (worker * self.most + number) * _WIDTH
            length = self._memory[start]
            if not length:
                return
            yield number, self._memory[start + 1 : start + 1 + length].decode("utf-8", "ignore")
