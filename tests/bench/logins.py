"""How long a login takes while others search without a pause."""

import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from tests.bench.bench import Bench, Measurements, Run
from tests.bench.client import call, log_in
from tests.bench.results import Result
from tests.bench.servers import PASSWORD, postroom
from tests.bench.stores import Domain
from tests.bench.wrk import Load, driven

NAME: Final = "login"

_SEARCHING = 8
_MOST_RATIO = 3
#: What they search for: a frequent surname, two letters, a sort that no index has.
_QUERIES: Final = ("match=schmidt", "match=an", "match=ann+schm&sort=displayname", "match=a&sort=smtp,desc")
#: Each connection has a caller of its own, who asks one thing after the other.
_SCRIPT = """
local tokens, queries, path, sent = {{{tokens}}}, {{{queries}}}, "{path}", 0
request = function()
    local token = tokens[sent % #tokens + 1]
    local query = queries[math.floor(sent / #tokens) % #queries + 1]
    sent = sent + 1
    return wrk.format("GET", path .. "?" .. query, {{["Authorization"] = "Bearer " .. token}})
end
"""


def measurements(run: Run) -> Measurements:
    """One row; service and load share all cores, as they do on a server."""
    store = run.store("large")
    with postroom(store.database, everywhere=True) as server:
        yield NAME, partial(_measure, run.bench(server, store), 20 if run.quick else 200)


def _measure(bench: Bench, logins: int) -> Result:
    tokens = [_caller(bench, number) for number in range(_SEARCHING)]
    alone = _percentile_99(bench, logins)
    with _searching(bench, tokens):
        meanwhile = _percentile_99(bench, logins)
    return Result(
        NAME,
        f"99 % of {logins} logins, {_SEARCHING} clients search {bench.large.users:,} users",
        "ms",
        meanwhile,
        against="the same, nobody searches",
        reference=alone,
    ).at_most_times(_MOST_RATIO)


def _percentile_99(bench: Bench, logins: int) -> float:
    """Milliseconds of the slowest login but one in a hundred."""
    found = []
    for _ in range(logins):
        began = time.perf_counter()
        log_in(bench.server.url)
        found.append((time.perf_counter() - began) * 1000)
    return statistics.quantiles(found, n=100, method="inclusive")[98]


def _caller(bench: Bench, number: int) -> str:
    """The token of a new user who may read everything: searches of one caller wait for each other."""
    url, users = bench.server.url, bench.small.path
    created = call(url, bench.token, "POST", users, {"username": f"searcher{number}", "password": PASSWORD})
    reader = {"name": f"searcher{number}", "permissions": [{"permission": "SystemAdminRO"}], "users": [created["ID"]]}
    call(url, bench.token, "POST", "/api/v1/system/roles", reader)
    return log_in(url, created["username"])


@contextmanager
def _searching(bench: Bench, tokens: list[str]) -> Iterator[None]:
    with driven(Load(bench.server.url, connections=_SEARCHING, script=_script(bench.large, tokens, bench.folder))):
        time.sleep(0.5)
        yield


def _script(domain: Domain, tokens: list[str], folder: Path) -> Path:
    script = folder / "search.lua"
    tokens_text, queries_text = (", ".join(map(json.dumps, texts)) for texts in (tokens, _QUERIES))
    script.write_text(_SCRIPT.format(tokens=tokens_text, queries=queries_text, path=domain.path))
    return script
