"""What the service costs before anybody uses it: time to start, and memory."""

import statistics
import time
from functools import partial
from pathlib import Path
from typing import Final

from tests.bench.bench import Measurements, Run
from tests.bench.client import fetch, log_in
from tests.bench.results import Result, at_most
from tests.bench.servers import PASSWORD, postroom
from tests.bench.stores import Store
from tests.bench.wrk import Load, requests_answered

NAMES: Final = ["openapi", "start", "start-password", "memory"]

_STARTS = 5
_MOST_SECONDS = 0.6
_MOST_MEBIBYTES = 60
_MOST_GROWTH = 5
_MOST_MILLISECONDS = 300

#: One request after the other: users, pages, searches, changes.
_MIXED = """
local first, users, path, headers, sent = {first}, {users}, "{path}", {{}}, 0
headers["Authorization"] = "{authorization}"
headers["Content-Type"] = "application/json"
request = function()
    sent = sent + 1
    local user, kind = path .. "/" .. (first + sent % users), sent % 64
    if kind % 8 == 1 then return wrk.format("GET", path .. "?limit=50&offset=" .. (sent % users), headers) end
    if kind == 2 then return wrk.format("GET", path .. "?level=2&limit=20&sort=username,desc", headers) end
    if kind % 16 == 3 then return wrk.format("GET", path .. "?match=schm" .. (sent % 10), headers) end
    if kind == 4 then return wrk.format("PATCH", user, headers, '{{"lang": "' .. (sent % 1000) .. '"}}') end
    if kind % 8 == 5 then return wrk.format("GET", user .. "/storeProps?properties=displayname", headers) end
    return wrk.format("GET", user, headers)
end
"""


def start(database: Path, starts: int) -> Result:
    """Seconds from the spawn of the process to its first answer, on a database that is there already."""
    return _started("start", "start to first answer", database, None, starts)


def start_with_password(database: Path, starts: int) -> Result:
    """The same with the administrator's password in the environment, which is checked at each start."""
    return _started("start-password", "the same, password in environment", database, PASSWORD, starts)


def _started(name: str, what: str, database: Path, password: str | None, starts: int) -> Result:
    seconds = statistics.median(_start(database, password) for _ in range(starts))
    return at_most(name, what, "s", seconds, _MOST_SECONDS)


def _start(database: Path, password: str | None) -> float:
    began = time.perf_counter()
    with postroom(database, password) as server:
        fetch(f"{server.url}/api/v1/status")
        return time.perf_counter() - began


def openapi(database: Path, starts: int) -> Result:
    """Milliseconds of the first request for the description, which is built then, and of the next."""
    first, again = zip(*(_openapi(database) for _ in range(starts)), strict=True)
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


def memory(store: Store, seconds: int) -> list[Result]:
    """Resident memory after a start, a login and a few reads, and how it grows with very many requests."""
    domain = store.small
    with postroom(store.database) as server:
        token = log_in(server.url)
        headers = {"Authorization": f"Bearer {token}"}
        for offset in range(20):
            fetch(f"{server.url}{domain.path}/{domain.first_user + offset}", headers)
        fetch(f"{server.url}{domain.path}?match=schm", headers)
        time.sleep(1)
        at_rest = server.resident_mebibytes()
        script = store.database.with_name("mixed.lua")
        script.write_text(
            _MIXED.format(
                first=domain.first_user, users=domain.users, path=domain.path, authorization=headers["Authorization"]
            )
        )
        answered = requests_answered(Load(server.url, script=script), seconds)
        time.sleep(1)
        growth = server.resident_mebibytes() - at_rest
    return [
        at_most("memory", "resident after a few requests", "MiB", at_rest, _MOST_MEBIBYTES),
        at_most("growth", f"growth after {answered:,} mixed requests", "MiB", growth, _MOST_GROWTH),
    ]


def measurements(run: Run) -> Measurements:
    """Each starts the service anew."""
    yield "openapi", partial(openapi, run.folder / "empty.sqlite3", 1 if run.quick else _STARTS)
    store = run.store("large")
    starts = 1 if run.quick else _STARTS
    yield "start", partial(start, store.database, starts)
    yield "start-password", partial(start_with_password, store.database, starts)
    yield "memory", partial(memory, store, 3 if run.quick else 90)
