"""PostgreSQL against SQLite: the same store, the service on one core, the database server and the load on the other."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from tests.bench.bench import Bench, Measurements, Run
from tests.bench.lists import LABELS, asked, medians
from tests.bench.results import Result
from tests.bench.servers import CLIENT_CORE, PASSWORD, BrokenRunError, on_core, postroom
from tests.bench.wrk import Load
from tests.support.postgresql import PostgreSQL

#: Name -> what it is, what PostgreSQL has to reach of SQLite, and the load.
_ROWS: Final[dict[str, tuple[str, float, Callable[[Bench], Load]]]] = {
    "postgresql-read": ("one user, level 2", 0.40, lambda bench: bench.get(_user(bench))),
    "postgresql-page": (
        "first 50 users, level 1",
        0.35,
        lambda bench: bench.get(f"{bench.small.path}?level=1&limit=50"),
    ),
    "postgresql-patch": ("durable PATCH, one client", 0.20, lambda bench: bench.patch(bench.small, 1)),
    "postgresql-patch-64": ("durable PATCH, 64 connections", 0.15, lambda bench: bench.patch(bench.small, 64)),
}
_LISTS: Final = "postgresql-lists"
NAMES: Final = [*_ROWS, _LISTS]


def measurements(run: Run) -> Measurements:
    """Each row, with both services beside each other on copies of the small data set."""
    with on_core(CLIENT_CORE):
        server = PostgreSQL()
        server.__enter__()
    with contextlib.closing(server):
        store, settings = run.store("small"), partial(_moved, run, server)
        with postroom(store.database) as sqlite, postroom(store.database, settings=settings("small")) as postgresql:
            benches = run.bench(sqlite, store), run.bench(postgresql, store)
            for name in _ROWS:
                yield name, partial(_compare, name, *benches)
        yield _LISTS, lambda: _lists(run, settings("middle"))


def _compare(name: str, sqlite: Bench, postgresql: Bench) -> Result:
    what, wanted, load = _ROWS[name]
    reference, measured = sqlite.alternate([load(sqlite), load(postgresql)])
    return Result(
        name=name,
        what=f"{what}, on PostgreSQL",
        unit="/s",
        measured=measured,
        against="SQLite",
        reference=reference,
    ).at_least_times(wanted)


def _lists(run: Run, settings: Mapping[str, str]) -> list[Result]:
    """What clients ask about the large domain of the middle data set."""
    with on_core(CLIENT_CORE), asked(run, "middle") as sqlite, asked(run, "middle", settings) as postgresql:
        found = {name: medians(query, [sqlite, postgresql]) for query, name in LABELS.items()}
    return [
        Result(name, f"list of {sqlite.domain.users:,} users, on PostgreSQL", "ms", measured, "SQLite", reference)
        for name, (reference, measured) in found.items()
    ]


def _moved(run: Run, server: PostgreSQL, name: str) -> dict[str, str]:
    """Copies a data set to the server, which keeps every commit; the settings for a service on it."""
    source = run.store(name).database
    settings = {
        "POSTROOM_DATABASE": server.url(server.make_database()),
        "POSTROOM_KEY_FILE": f"{source}.key",
        "POSTROOM_ADMIN_PASSWORD": PASSWORD,
    }
    command = [str(Path(sys.executable).with_name("postroom")), "move", str(source), settings["POSTROOM_DATABASE"]]
    moved = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=False)
    if moved.returncode:
        raise BrokenRunError(f"postroom move failed: {moved.stderr.strip()[-500:]}")
    return settings


def _user(bench: Bench) -> str:
    return f"{bench.small.path}/{bench.small.first_user + bench.small.users // 2}"
