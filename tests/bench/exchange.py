"""Export and import: processor time against creating the same users with one bulk request, and memory."""

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tests.bench.bench import Measurements, Run
from tests.bench.imports import create, empty_server, lines
from tests.bench.results import Result
from tests.bench.servers import BrokenRunError

_OUT, _IN, _MEMORY = "export", "import", "exchange-memory"
NAMES: Final = [_OUT, _IN, _MEMORY]

_LEAST_RATIO = 1
_MOST_MEBIBYTES = 30
_POSTROOM: Final = str(Path(sys.executable).with_name("postroom"))


@dataclass(frozen=True, slots=True)
class _Trip:
    """What so many users take on their way from one database to another: seconds of CPU, MiB at most."""

    users: int
    created: float
    exported: float
    imported: float
    most: float


def measurements(run: Run) -> Measurements:
    """Each by itself, on what was measured before the first."""
    few, many = (_trip(run.folder, count) for count in ((500, 2_500) if run.quick else (20_000, 100_000)))
    yield _OUT, partial(_pace, _OUT, f"exporting {many.users:,} users, of each second of CPU", many, many.exported)
    yield _IN, partial(_pace, _IN, f"importing {many.users:,} users, of each second of CPU", many, many.imported)
    yield _MEMORY, partial(_memory, few, many)


def _trip(folder: Path, users: int) -> _Trip:
    first, second, file = (folder / f"{name}-{users}" for name in ("from.sqlite3", "to.sqlite3", "people.ndjson"))
    with empty_server(first) as (server, token):
        before = server.cpu_seconds()
        create(server, token, lines(users))
        created = server.cpu_seconds() - before
    with empty_server(second, domain=False):
        pass
    exported, most_out = _run("export", str(file), "--secrets", "--database", str(first))
    imported, most_in = _run("import", str(file), "--database", str(second))
    return _Trip(users, created, exported, imported, max(most_out, most_in))


def _run(*arguments: str) -> tuple[float, float]:
    """Seconds of CPU of a command, and the most memory that it had, in MiB."""
    process = subprocess.Popen([_POSTROOM, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise BrokenRunError(f"postroom {arguments[0]} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def _pace(name: str, what: str, trip: _Trip, seconds: float) -> Result:
    return Result(
        name,
        what,
        "/s",
        trip.users / seconds,
        against="creating them in one request",
        reference=trip.users / trip.created,
    ).at_least_times(_LEAST_RATIO)


def _memory(few: _Trip, many: _Trip) -> Result:
    return Result(
        _MEMORY,
        f"most memory of export and import, {many.users:,} users",
        "MiB",
        many.most,
        against=f"{few.users:,} users",
        reference=few.most,
        wanted=f"≤ {_MOST_MEBIBYTES} MiB more",
        reached=many.most <= few.most + _MOST_MEBIBYTES,
    )
