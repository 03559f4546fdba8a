"""Throughput: the service against a bare server that answers the same bytes, or against itself."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from tests.bench import rooms, workers
from tests.bench.bench import Bench, Measurements, Run
from tests.bench.client import fetch
from tests.bench.results import Point, Result
from tests.bench.servers import bare, postroom
from tests.bench.wrk import Load, requests_per_second

_PAGE = "?level=1&limit=50"
_USERS = "/api/v1/domains/{domainID}/users"
_USER = f"{_USERS}/{{userID}}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`load` has to reach `wanted` times its reference; `against` says what that is."""

    name: str
    what: str
    wanted: float
    load: Callable[[Bench], Load]
    #: The path of the route, for the bare server; without one the service is compared with itself.
    route: str = ""
    against: str = "bare server, same route and answer"
    reference: Callable[[Bench], Load] | None = None

    def run(self, bench: Bench) -> Result:
        """Measures it."""
        load = self.load(bench)
        if self.reference is not None:
            reference, measured = bench.alternate([self.reference(bench), load])
        else:
            body = bench.folder / "body.json"
            body.write_bytes(fetch(load.url, load.headers))
            path = load.url.removeprefix(bench.server.url)
            with bare(body, self.route) as yardstick:
                reference, measured = bench.alternate([Load(yardstick.url + path, load.headers), load])
        return Result(
            name=self.name,
            what=self.what,
            unit="/s",
            measured=measured,
            against=self.against,
            reference=reference,
        ).at_least_times(self.wanted)


def _read(bench: Bench, *, cookie: bool = False, connections: int = 32) -> Load:
    path = f"{bench.small.path}/{bench.small.first_user + bench.small.users // 2}"
    return bench.get(path, cookie=cookie, connections=connections)


def _page(bench: Bench, connections: int = 32) -> Load:
    return bench.get(bench.small.path + _PAGE, connections=connections)


_COMPARISONS: Final = [
    Comparison("read", "one user, level 2", 0.6, _read, _USER),
    Comparison("read-cookie", "one user, level 2, login by cookie", 0.6, partial(_read, cookie=True), _USER),
    Comparison("list", "page of 50, level 1", 0.45, _page, _USERS),
    Comparison(
        "patch",
        "durable PATCH, 64 connections",
        5,
        lambda bench: bench.patch(bench.large, 64),
        against="1 connection",
        reference=lambda bench: bench.patch(bench.large, 1),
    ),
]
#: The lines of the plot by connections.
_LINES: Final[dict[str, Callable[[Bench, int], Load]]] = {
    "one user": lambda bench, connections: _read(bench, connections=connections),
    "page of 50": _page,
    "durable PATCH": lambda bench, connections: bench.patch(bench.large, connections),
}
_CONNECTIONS: Final = (1, 2, 4, 8, 16, 32, 64, 128)

_BY_CONNECTIONS: Final = "connections"
_MEMBERS: Final = "replace-members"
_ALL: Final = {
    **{comparison.name: comparison.run for comparison in _COMPARISONS},
    **{name: Comparison(name, f"room {name}", 0.5, load, route).run for name, (load, route) in rooms.ROOMS.items()},
    _MEMBERS: rooms.replace_members,
}
NAMES: Final = [*_ALL, _BY_CONNECTIONS, workers.NAME]


def measurements(run: Run) -> Measurements:
    """Each to be run before the next is taken: they share a service on the large data set."""
    store = run.store("large")
    with postroom(store.database) as server:
        bench = run.bench(server, store)
        for name, measure in _ALL.items():
            yield name, partial(measure, bench)
        yield _BY_CONNECTIONS, partial(_by_connections, bench, _CONNECTIONS[:: 4 if run.quick else 1])
        yield workers.NAME, partial(workers.measure, bench, store.database)


def _by_connections(bench: Bench, numbers: tuple[int, ...]) -> list[Point]:
    return [
        Point("connections", line, number, requests_per_second(load(bench, number), 1))
        for line, load in _LINES.items()
        for number in numbers
    ]
