"""The mailbox side: reads of each room against the bare server, and the replacement of a long list."""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from tests.bench.bench import Bench
from tests.bench.client import call
from tests.bench.results import Result
from tests.bench.wrk import Load

_MEMBERS = 1000
_MOST_MILLISECONDS = 50
_ROUNDS = 20

#: Room -> what is asked for below the path of a user.
_ROOMS = {
    "delegates": "/delegates",
    "sendas": "/sendas",
    "store-props": "/storeProps?properties=displayname,storagequotalimit",
    "store-access": "/storeAccess",
    "oof": "/oof",
    "devices": "/sync",
}


def _path(bench: Bench) -> str:
    return f"{bench.small.path}/{bench.small.first_user}"


def furnish(bench: Bench) -> None:
    """Puts something into each room of one user: a few people, an absence, two devices."""
    path = _path(bench)
    people = [user["username"] for user in _call(bench, "GET", f"{bench.small.path}?level=0&limit=5")["data"]]
    _call(bench, "PUT", f"{path}/delegates", people[1:])
    _call(bench, "PUT", f"{path}/sendas", people[1:])
    _call(bench, "PUT", f"{path}/storeAccess", {"usernames": people[1:]})
    _call(bench, "PUT", f"{path}/oof", {"state": 1, "internalSubject": "Away", "internalReply": "Back on Monday."})
    for device in ("phone1", "tablet1"):
        report = {"devicetype": "phone", "useragent": "bench/1.0", "asversion": "16.1"}
        _call(bench, "PUT", f"/api/v1/service/sync/{people[0]}/{device}", report)


def _load(below: str, bench: Bench) -> Load:
    furnish(bench)
    return bench.get(_path(bench) + below)


def _policy(bench: Bench) -> Load:
    return bench.get(bench.small.path.replace("/users", "/syncPolicy"))


#: Room -> what is asked of it, and the path of its route.
ROOMS: Final[dict[str, tuple[Callable[[Bench], Load], str]]] = {
    **{
        name: (partial(_load, below), f"/api/v1/domains/{{domainID}}/users/{{userID}}{below.partition('?')[0]}")
        for name, below in _ROOMS.items()
    },
    "sync-policy": (_policy, "/api/v1/domains/{domainID}/syncPolicy"),
}


def replace_members(bench: Bench) -> Result:
    """Milliseconds of a PUT that replaces a list of 1,000 users with store access, with the time to connect."""
    users = _call(bench, "GET", f"{bench.small.path}?level=0&limit={_MEMBERS}")["data"]
    body = {"usernames": [user["username"] for user in users]}
    durations = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        _call(bench, "PUT", f"{_path(bench)}/storeAccess", body)
        durations.append((time.perf_counter() - started) * 1000)
    median = statistics.median(durations)
    return Result(
        "replace-members",
        f"replacing {len(users):,} users with store access",
        "ms",
        median,
        wanted=f"≤ {_MOST_MILLISECONDS} ms",
        reached=median <= _MOST_MILLISECONDS,
    )


def _call(bench: Bench, method: str, path: str, body: object = None) -> Any:
    return call(bench.server.url, bench.token, method, path, body)
