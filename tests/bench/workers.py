"""Two workers against one, on the same database. Servers and load share all cores: the load takes its part."""

from dataclasses import replace
from pathlib import Path

from tests.bench.bench import Bench
from tests.bench.results import Result
from tests.bench.servers import postroom

NAME = "workers"
#: Two workers reach at least so many times the throughput of one.
_WANTED = {"workers-read": 1.7, "workers-patch": 0.8}


def measure(bench: Bench, database: Path) -> list[Result]:
    """Both rows. A login counts at every server on the database."""
    with postroom(database, workers=1, everywhere=True) as one, postroom(database, workers=2, everywhere=True) as two:
        benches = [replace(bench, server=server) for server in (one, two)]
        path = f"{bench.small.path}/{bench.small.first_user}"
        reads = bench.alternate([each.get(path) for each in benches])
        writes = bench.alternate([each.patch(bench.large, 64) for each in benches])
    shown = (("workers-read", "one user, level 2", reads), ("workers-patch", "durable PATCH, 64 connections", writes))
    return [
        Result(
            name=name,
            what=f"{what}, 2 workers",
            unit="/s",
            measured=measured,
            against="1 worker",
            reference=reference,
        ).at_least_times(_WANTED[name])
        for name, what, (reference, measured) in shown
    ]
