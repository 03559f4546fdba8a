"""PostgreSQL against SQLite: the same store, the service on one core, the database server and the load on the other."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from tests.bench.bench import Bench, Measurements, Run
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
NAMES: Final = [*_ROWS]


def measurements(run: Run) -> Measurements:
    """Each row, with both services beside each other on copies of the small data set."""
    store = run.store("small")
    with (
        _moved(store.database, run.folder) as settings,
        postroom(store.database) as sqlite,
        postroom(run.folder / "moved", settings=settings) as postgresql,
    ):
        benches = run.bench(sqlite, store), run.bench(postgresql, store)
        for name in _ROWS:
            yield name, partial(_compare, name, *benches)


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
        wanted=f"≥ {wanted:.2f}",
        reached=measured >= wanted * reference,
    )


@contextmanager
def _moved(database: Path, folder: Path) -> Iterator[dict[str, str]]:
    """A server that keeps every commit, with a copy of the database; the settings for it."""
    with on_core(CLIENT_CORE):
        server = PostgreSQL()
        server.__enter__()
    try:
        url, key_file = server.url(server.make_database()), folder / "moved.key"
        shutil.copy(f"{database}.key", key_file)
        command = [str(Path(sys.executable).with_name("postroom")), "move", str(database), url]
        moved = subprocess.run(
            command, env={**os.environ, "POSTROOM_KEY_FILE": str(key_file)}, capture_output=True, text=True, check=False
        )
        if moved.returncode:
            raise BrokenRunError(f"postroom move failed: {moved.stderr.strip()[-500:]}")
        yield {"POSTROOM_DATABASE": url, "POSTROOM_KEY_FILE": str(key_file), "POSTROOM_ADMIN_PASSWORD": PASSWORD}
    finally:
        server.close()


def _user(bench: Bench) -> str:
    return f"{bench.small.path}/{bench.small.first_user + bench.small.users // 2}"
