"""What metrics cost: a scrape, and a read while requests are counted."""

import contextlib
import statistics
from dataclasses import replace
from functools import partial
from typing import Final

from tests.bench.bench import Bench, Measurements, Run
from tests.bench.client import log_in
from tests.bench.one_client import OneClient
from tests.bench.results import Result, at_most
from tests.bench.servers import CLIENT_CORE, Server, on_core, postroom
from tests.bench.wrk import Load, requests_answered

_SCRAPE, _READ = "scrape", "metrics-read"
NAMES: Final = [_SCRAPE, _READ]

_MOST_MILLISECONDS = 20
_LEAST_RATIO = 0.97
#: Rounds of each service, beyond those of other loads: the difference is small.
_MORE_ROUNDS = 6


def measurements(run: Run) -> Measurements:
    """Each to be run before the next is taken: they share services on the large data set."""
    store = run.store("large")
    with postroom(store.database) as server:
        bench = run.bench(server, store)
        yield _READ, partial(_read, bench, run)
        yield _SCRAPE, partial(_scrape, server, sum(domain.users for domain in store.domains))


def _scrape(server: Server, users: int) -> Result:
    """Milliseconds of the median scrape, after the first one."""
    with on_core(CLIENT_CORE), contextlib.closing(OneClient(server, log_in(server.url))) as client:
        client.milliseconds("/metrics")
        milliseconds = client.median("/metrics", seconds=2, most=50)
    return at_most(_SCRAPE, f"scrape of /metrics, {users:,} users", "ms", milliseconds, _MOST_MILLISECONDS)


def _read(bench: Bench, run: Run) -> Result:
    """Reads for each second of CPU, which depends less on what else the machine does than those for each second."""
    with postroom(run.store("large").database, settings={"POSTROOM_METRICS": "false"}) as uncounted:
        path = f"{bench.small.path}/{bench.small.first_user}"
        loads = [replace(bench, server=server).get(path) for server in (uncounted, bench.server)]
        rounds = [
            [
                _reads_of_a_second(server, load, bench.seconds)
                for server, load in zip((uncounted, bench.server), loads, strict=True)
            ]
            for _ in range(bench.rounds if run.quick else bench.rounds + _MORE_ROUNDS)
        ]
    reference, measured = (statistics.median(figures) for figures in zip(*rounds, strict=True))
    return Result(
        _READ,
        "one user, level 2, of each second of CPU",
        "/s",
        measured,
        against="without metrics",
        reference=reference,
    ).at_least_times(_LEAST_RATIO)


def _reads_of_a_second(server: Server, load: Load, seconds: int) -> float:
    before = server.cpu_seconds()
    answered = requests_answered(load, seconds)
    return answered / (server.cpu_seconds() - before)
