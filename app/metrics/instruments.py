"""Counters, gauges and histograms whose labels have values that are known at the start."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import product
from operator import add
from types import MappingProxyType
from typing import ClassVar, Final

from postroom.app.metrics.cells import Cells, Names, Place

#: Label -> its values; or the list of them, which grows, and then a value is its number in the list.
Labels = Mapping[str, Sequence[object] | Names]
#: The values of labels, in their order.
Values = tuple[str, ...]

_NO_LABELS: Final[Labels] = MappingProxyType({})


class Instrument:
    """A metric with some cells for each combination of values of its labels.

    `sparse`: combinations of which nothing was ever said are not shown, because there are very many.
    """

    kind: ClassVar[str]

    def __init__(
        self, place: Place, name: str, about: str, labels: Labels, *, width: int = 1, sparse: bool = False
    ) -> None:
        self.name = name
        self.about = about
        #: The names of the labels.
        self.labels = tuple(labels)
        self._named = {label: values for label, values in labels.items() if isinstance(values, Names)}
        self._width = width
        self._sparse = sparse
        #: Combination of values -> the first of its cells.
        self._first = _first_cells(
            width, *(tuple(range(each.most) if isinstance(each, Names) else each) for each in labels.values())
        )
        self._cells = Cells(place, len(self._first) * width)

    def clear(self, worker: int) -> None:
        """Forgets what a worker that has ended has said."""
        self._cells.clear(worker)

    def cells_from(self, *values: object) -> "memoryview[float]":
        """The cells in the row of this worker, beginning with those of a combination; the last label changes first."""
        return self._cells.own()[self._first[values] :]

    def collect(self) -> Iterator[tuple[Values, list[float]]]:
        """The values of the labels and their cells, summed over all workers."""
        if not self._named:
            yield from self._shown(self._cells.totals(), {})
            return
        found: dict[Values, list[float]] = {}
        for worker, row in enumerate(self._cells.rows()):
            # Each worker has numbers of its own for the same names.
            names = {label: dict(each.of(worker)) for label, each in self._named.items()}
            for values, cells in self._shown(row, names):
                found[values] = list(map(add, found[values], cells)) if values in found else cells
        yield from found.items()

    def _shown(self, row: list[float], names: Mapping[str, Mapping[int, str]]) -> Iterator[tuple[Values, list[float]]]:
        for values, first in self._first.items():
            cells = row[first : first + self._width]
            if any(cells) or not self._sparse:
                yield tuple(map(_text, values, (names.get(label) for label in self.labels))), cells


def _text(value: object, names: Mapping[int, str] | None) -> str:
    return str(value) if names is None else names.get(int(str(value)), Names.OTHER)


@lru_cache(maxsize=64)
def _first_cells(width: int, *values: tuple[object, ...]) -> Mapping[tuple[object, ...], int]:
    """The same for all servers of a process, such as those of tests."""
    return {each: number * width for number, each in enumerate(product(*values))}


class Counter(Instrument):
    """A number that only grows; its name ends with _total."""

    kind = "counter"

    def __init__(
        self, place: Place, name: str, about: str, labels: Labels = _NO_LABELS, *, sparse: bool = False
    ) -> None:
        super().__init__(place, name, about, labels, sparse=sparse)

    def add(self, *values: object) -> None:
        """Counts one more."""
        self._cells.add(self._first[values], 1.0)


class Gauge(Instrument):
    """A number that goes up and down, summed over all workers."""

    kind = "gauge"

    def __init__(
        self, place: Place, name: str, about: str, labels: Labels = _NO_LABELS, *, sparse: bool = False
    ) -> None:
        super().__init__(place, name, about, labels, sparse=sparse)
        self._read: Callable[[], float] | None = None

    def set(self, *values: object, to: float) -> None:
        """Says what it is in this worker."""
        self._cells.set(self._first[values], to)

    def follow(self, read: Callable[[], float]) -> None:
        """From now on sample() sets it to what `read` returns."""
        self._read = read

    def sample(self) -> None:
        """Sets it to what it is now, if it follows something."""
        if self._read is not None:
            self.set(to=self._read())


class Histogram(Instrument):
    """How often something was in which range, and the sum of it all."""

    kind = "histogram"

    def __init__(
        self,
        place: Place,
        name: str,
        about: str,
        bounds: Sequence[float],
        labels: Labels = _NO_LABELS,
        *,
        sparse: bool = False,
    ) -> None:
        # A cell for each bound, one for what is above all of them, and the sum.
        super().__init__(place, name, about, labels, width=len(bounds) + 2, sparse=sparse)
        self.bounds = tuple(bounds)

    def observe(self, *values: object, what: float) -> None:
        """Notes one more."""
        first = self._first[values]
        self._cells.add(first + bisect_left(self.bounds, what), 1.0)
        self._cells.add(first + len(self.bounds) + 1, what)
