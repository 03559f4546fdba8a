"""What all measurements of one run share."""

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.bench.client import log_in
from tests.bench.results import Found
from tests.bench.servers import BrokenRunError, Server
from tests.bench.stores import Domain, Store, copied, kept_store
from tests.bench.wrk import PATCH_SCRIPT, Load, requests_per_second

#: A name, and what measures it. Each is to be run before the next is taken: they share servers.
Measurement = tuple[str, Callable[[], Found | Iterable[Found]]]
Measurements = Iterator[Measurement]

#: Data set -> the sizes of its domains. The first is alike in all of them.
DATA_SETS: Final = {
    "small": [1_000],
    "middle": [1_000, 100_000, 3_000, 40, 1],
    "large": [1_000, 1_000_000, 30_000, 500, 40, 1],
}
QUICK_DATA_SETS: Final = {"small": [300], "middle": [300, 1_000, 30, 1], "large": [300, 5_000, 500, 40, 1]}


@dataclass
class Run:
    """How to measure, and with which data."""

    folder: Path
    quick: bool = False
    #: Where the data sets are kept between runs; None: nowhere.
    kept: Path | None = None
    stores: dict[str, Store] = field(default_factory=dict)

    @property
    def seconds(self) -> int:
        """Of each round of load."""
        return 1 if self.quick else 2

    @property
    def rounds(self) -> int:
        """Of each load."""
        return 1 if self.quick else 3

    @property
    def sizes(self) -> dict[str, list[int]]:
        """Of the domains of each data set."""
        return QUICK_DATA_SETS if self.quick else DATA_SETS

    def make_stores(self, advance: Callable[[int], None]) -> None:
        """Makes the data sets, or takes those that are kept; `advance` hears how many users there are more."""
        for name, sizes in self.sizes.items():
            made = kept_store(self.kept or self.folder / "kept", name, sizes, advance)
            self.stores[name] = made if self.kept is None else copied(made, self.folder)

    def store(self, name: str) -> Store:
        """The data set of that name. Raises BrokenRunError when it could not be made."""
        if name not in self.stores:
            raise BrokenRunError(f"there is no data set {name!r}")
        return self.stores[name]

    def bench(self, server: Server, store: Store) -> "Bench":
        """A service on a data set, ready for load."""
        return Bench(server, log_in(server.url), store.small, store.large, self.folder, self.seconds, self.rounds)


@dataclass(frozen=True, slots=True)
class Bench:
    """The service under measurement, its two domains, and how long to drive it."""

    server: Server
    token: str
    small: Domain
    large: Domain
    folder: Path
    seconds: int
    rounds: int

    def get(self, path: str, *, cookie: bool = False, connections: int = 32) -> Load:
        """Reading, logged in by Bearer or by cookie."""
        login = {"Cookie": f"grommunioAuthJwt={self.token}"} if cookie else {"Authorization": f"Bearer {self.token}"}
        return Load(self.server.url + path, login, connections)

    def patch(self, domain: Domain, connections: int) -> Load:
        """Changing one user after the other."""
        script = self.folder / f"patch-{self.server.pid}.lua"
        script.write_text(
            PATCH_SCRIPT.format(
                first=domain.first_user, users=domain.users, path=domain.path, authorization=f"Bearer {self.token}"
            )
        )
        return Load(self.server.url, connections=connections, script=script)

    def alternate(self, loads: Sequence[Load]) -> list[float]:
        """The median of the rounds of each load. They take turns, so that what else the machine does hits them all."""
        rounds = [[requests_per_second(load, self.seconds) for load in loads] for _ in range(self.rounds)]
        return [statistics.median(figures) for figures in zip(*rounds, strict=True)]
