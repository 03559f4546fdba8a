"""What a command costs that ends at once: processor time of its process."""

import resource
import statistics
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from tests.bench.bench import Measurements, Run
from tests.bench.results import Result, at_most

NAMES: Final = ["cli-help", "cli-list"]

_RUNS: Final = 9
_MOST_FOR_HELP: Final = 150
_MOST_FOR_LIST: Final = 400
_POSTROOM: Final = str(Path(sys.executable).with_name("postroom"))


def _milliseconds(arguments: Sequence[str], runs: int) -> float:
    """The median of the processor time of these runs; the first one compiles modules, and does not count."""
    _once(arguments)
    return statistics.median(_once(arguments) for _ in range(runs)) * 1000


def _once(arguments: Sequence[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([_POSTROOM, *arguments], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def show_help(runs: int) -> Result:
    """The list of all commands."""
    measured = _milliseconds(["--help"], runs)
    return at_most("cli-help", "postroom --help, CPU", "ms", measured, _MOST_FOR_HELP)


def list_users(database: Path, domain_id: int, runs: int) -> Result:
    """A page of 50 users of the local database."""
    arguments = ["user", "list", str(domain_id), "--limit", "50", "--database", str(database)]
    measured = _milliseconds(arguments, runs)
    return at_most("cli-list", "postroom user list of 50, CPU", "ms", measured, _MOST_FOR_LIST)


def measurements(run: Run) -> Measurements:
    """Each starts processes."""
    runs = 1 if run.quick else _RUNS
    yield "cli-help", partial(show_help, runs)
    store = run.store("large")
    yield "cli-list", partial(list_users, store.database, store.small.id, runs)
