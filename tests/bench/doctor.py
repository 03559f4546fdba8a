"""`postroom doctor` beside a running service: who is disturbed by it."""

import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from tests.bench.bench import Bench, Measurements, Run
from tests.bench.meanwhile import going_on
from tests.bench.results import Result
from tests.bench.servers import BrokenRunError, postroom
from tests.bench.wrk import Load, percentile_99

_MOST_DISTURBED: Final = 2
#: Connections that ask meanwhile: a service that is not overloaded.
_CONNECTIONS: Final = 4
_LOADS: Final[dict[str, tuple[str, Callable[[Bench], Load]]]] = {
    "doctor-reads": (
        "reads",
        lambda bench: bench.get(f"{bench.large.path}/{bench.large.first_user + 7}", connections=_CONNECTIONS),
    ),
    "doctor-writes": ("durable PATCHes", lambda bench: bench.patch(bench.large, _CONNECTIONS)),
}
NAMES: Final = [*_LOADS]


def measurements(run: Run) -> Measurements:
    """Both with a service on the large data set."""
    store = run.store("large")
    with postroom(store.database) as server:
        bench = run.bench(server, store)
        for name in _LOADS:
            yield name, partial(_compare, name, bench, store.database)


def _compare(name: str, bench: Bench, database: Path) -> Result:
    what, load = _LOADS[name]
    rounds = list(_rounds(load(bench), bench, database))
    reference, measured = (statistics.median(times) for times in zip(*rounds, strict=True))
    return Result(
        name,
        f"99 % of {what}, while postroom doctor runs",
        "ms",
        measured,
        against="the same, undisturbed",
        reference=reference,
    ).at_most_times(_MOST_DISTURBED)


def _rounds(load: Load, bench: Bench, database: Path) -> Iterator[tuple[float, float]]:
    """Milliseconds: undisturbed, and meanwhile."""
    for _ in range(bench.rounds + 2):
        undisturbed = percentile_99(load, bench.seconds)
        with going_on(partial(_examine, database)):
            yield undisturbed, percentile_99(load, bench.seconds)


def _examine(database: Path, stop: threading.Event) -> None:
    """Again and again, until the event is set: a small database takes less time than the load."""
    command = [str(Path(sys.executable).with_name("postroom")), "doctor", "--offline", "--json"]
    while not stop.is_set():
        process = subprocess.Popen(
            [*command, "--database", str(database)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        while process.poll() is None and not stop.wait(0.1):
            """It goes on."""
        if process.poll() is None:
            process.kill()
        _, errors = process.communicate()
        if process.returncode > 1:
            raise BrokenRunError(f"postroom doctor failed: {errors.strip()[-500:]}")
