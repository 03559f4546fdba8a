"""What clients ask about lists: in a domain of 1,000, alone and beside a large one, and in the large one."""

import contextlib
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final

from tests.bench.bench import Measurements, Run
from tests.bench.client import log_in
from tests.bench.one_client import OneClient
from tests.bench.people import FREQUENT_SURNAME, RARE_SURNAME
from tests.bench.results import Found, Point, Result, at_most
from tests.bench.servers import CLIENT_CORE, Server, on_core, postroom
from tests.bench.stores import Domain

_RARE, _FREQUENT = RARE_SURNAME.lower(), FREQUENT_SURNAME.lower()
#: Query -> milliseconds that it may take in the large domain.
QUERIES: Final = {
    "level=1": 20,
    "level=2": 20,
    f"match={_RARE}": 20,
    f"match={_FREQUENT}": 20,
    f"match=ann+{_FREQUENT[:4]}": 20,
    "match=an": 50,
    "sort=username,desc": 20,
    "sort=displayname": 20,
    f"sort=displayname&match={_FREQUENT}": 20,
    "filterProp=displaytypeex:0": 20,
    "status=0": 20,
    "status=4": 20,
}
#: Query -> its name in the table.
LABELS: Final = {query: query.replace("+", " ") for query in QUERIES}
_DEEP: Final = "offset"
_USERNAMES: Final = "usernames"

NAMES: Final = [*LABELS.values(), _DEEP, _USERNAMES]

#: How much longer a list of the domain of 1,000 may take beside a large one.
_MOST_RATIO = 1.5
#: How long, and how often at most, one domain is asked in one round.
_ROUND_SECONDS, _ROUND_REQUESTS = 0.15, 100


@dataclass(frozen=True, slots=True)
class Asked:
    """A domain, and the client that asks about it."""

    server: Server
    client: OneClient
    domain: Domain
    rounds: int

    def round(self, query: str) -> float:
        """Milliseconds of the median request for the first page, or whatever the query asks for."""
        path = f"{self.domain.path}?{query}"
        return self.client.median(path, seconds=_ROUND_SECONDS, most=_ROUND_REQUESTS)


def measurements(run: Run) -> Measurements:
    """Each to be run before the next is taken: they share three services, one for each data set."""
    with contextlib.ExitStack() as stack, on_core(CLIENT_CORE):
        alone, middle, large = (stack.enter_context(asked(run, name)) for name in ("small", "middle", "large"))
        store = run.store("large")
        beside = Asked(large.server, large.client, store.small, large.rounds)
        for query, name in LABELS.items():
            yield name, partial(_compare, name, query, [alone, beside, middle, large])
        yield _DEEP, partial(_deep, large)
        yield _USERNAMES, partial(_usernames, large, sum(domain.users for domain in store.domains))


@contextlib.contextmanager
def asked(run: Run, name: str, settings: Mapping[str, str] = MappingProxyType({})) -> Iterator[Asked]:
    """The largest domain of a data set, and a service with these settings."""
    store = run.store(name)
    with (
        postroom(store.database, settings=settings) as server,
        contextlib.closing(OneClient(server, log_in(server.url))) as client,
    ):
        yield Asked(server, client, store.large, run.rounds)


def medians(query: str, those: Sequence[Asked]) -> list[float]:
    """Milliseconds of each. They take turns, so that what else the machine does hits them all."""
    rounds = [[each.round(query) for each in those] for _ in range(those[0].rounds)]
    return [statistics.median(found) for found in zip(*rounds, strict=True)]


def _compare(name: str, query: str, those: list[Asked]) -> list[Found]:
    alone, beside, middle, large = medians(query, those)
    small_size, middle_size, large_size = (those[number].domain.users for number in (0, 2, 3))
    compared = Result(
        name,
        f"list of {small_size:,} users beside {large_size:,}",
        "ms",
        beside,
        against="the same alone",
        reference=alone,
    ).at_most_times(_MOST_RATIO)
    sizes = ((small_size, alone), (middle_size, middle), (large_size, large))
    return [
        compared,
        at_most(name, f"list of {large_size:,} users", "ms", large, QUERIES[query]),
        *(Point("lists", name, size, milliseconds) for size, milliseconds in sizes),
    ]


def _deep(large: Asked) -> Result:
    offset = large.domain.users // 2
    return at_most(
        _DEEP, f"offset={offset}, list of {large.domain.users:,} users", "ms", large.round(f"offset={offset}"), 20
    )


def _usernames(large: Asked, users: int) -> list[Result]:
    """The usernames of the whole store in one answer."""
    large.server.forget_peak()
    before = large.server.resident_mebibytes()
    seconds = large.client.milliseconds("/api/v1/users") / 1000
    growth = large.server.peak_mebibytes() - before
    return [
        Result(_USERNAMES, f"all {users:,} usernames", "s", seconds),
        Result(_USERNAMES, "the same, growth in memory meanwhile", "MiB", growth),
    ]
