"""What the service costs before anybody uses it: time to start, and memory."""

import statistics
import time
from pathlib import Path

from tests.bench.client import fetch, log_in
from tests.bench.fill import Domain
from tests.bench.results import Result
from tests.bench.servers import PASSWORD, postroom

_STARTS = 5
_MOST_SECONDS = 0.6
_MOST_MEBIBYTES = 70
_MOST_MILLISECONDS = 300


def start(database: Path) -> Result:
    """Seconds from the spawn of the process to its first answer, on a database that is there already."""
    return _started("start", "start to first answer", database, None)


def start_with_password(database: Path) -> Result:
    """The same with the administrator's password in the environment, which is checked at each start."""
    return _started("start-password", "the same, password in environment", database, PASSWORD)


def _started(name: str, what: str, database: Path, password: str | None) -> Result:
    seconds = statistics.median(_start(database, password) for _ in range(_STARTS))
    return Result(name, what, "s", seconds, wanted=f"≤ {_MOST_SECONDS} s", reached=seconds <= _MOST_SECONDS)


def _start(database: Path, password: str | None) -> float:
    began = time.perf_counter()
    with postroom(database, password) as server:
        fetch(f"{server.url}/api/v1/status")
        return time.perf_counter() - began


def openapi(database: Path) -> Result:
    """Milliseconds of the first request for the description, which is built then, and of the next."""
    first, again = zip(*(_openapi(database) for _ in range(_STARTS)), strict=True)
    milliseconds = statistics.median(first)
    return Result(
        "openapi",
        "first openapi.json of a process",
        "ms",
        milliseconds,
        against="the same again, from memory",
        reference=statistics.median(again),
        wanted=f"≤ {_MOST_MILLISECONDS} ms",
        reached=milliseconds <= _MOST_MILLISECONDS,
    )


def _openapi(database: Path) -> tuple[float, float]:
    with postroom(database) as server:
        fetch(f"{server.url}/api/v1/status")
        first, again = (_milliseconds(f"{server.url}/api/v1/openapi.json") for _ in range(2))
        return first, again


def _milliseconds(url: str) -> float:
    began = time.perf_counter()
    fetch(url)
    return (time.perf_counter() - began) * 1000


def memory(database: Path, domain: Domain) -> Result:
    """Resident memory after a start, a login and a few reads."""
    with postroom(database) as server:
        headers = {"Authorization": f"Bearer {log_in(server.url)}"}
        for offset in range(20):
            fetch(f"{server.url}{domain.path}/{domain.first_user + offset}", headers)
        fetch(f"{server.url}{domain.path}?match=schm", headers)
        time.sleep(1)
        mebibytes = server.resident_mebibytes()
    wanted = f"≤ {_MOST_MEBIBYTES} MiB"
    reached = mebibytes <= _MOST_MEBIBYTES
    return Result("memory", "resident after a few requests", "MiB", mebibytes, wanted=wanted, reached=reached)
