"""Throughput: the service against a bare server that answers the same bytes, or against itself."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.bench import Bench
from tests.bench.client import fetch
from tests.bench.people import FREQUENT_SURNAME, RARE_SURNAME
from tests.bench.results import Result
from tests.bench.servers import bare
from tests.bench.wrk import Load

_PAGE = "?level=1&limit=50"
_RARE = RARE_SURNAME[:7].lower()
_FREQUENT = FREQUENT_SURNAME[:5].lower()


@dataclass(frozen=True, slots=True)
class Comparison:
    """`load` has to reach `wanted` times its reference; `against` says what that is."""

    name: str
    what: str
    wanted: float | None
    load: Callable[[Bench], Load]
    against: str = "bare server, same request and answer"
    #: None: the bare server.
    reference: Callable[[Bench], Load] | None = None

    def run(self, bench: Bench) -> Result:
        """Measures it."""
        load = self.load(bench)
        if self.reference is not None:
            reference, measured = bench.alternate([self.reference(bench), load])
        else:
            body = bench.folder / "body.json"
            body.write_bytes(fetch(load.url, load.headers))
            with bare(body) as yardstick:
                reference, measured = bench.alternate([Load(yardstick.url, load.headers), load])
        return Result(
            name=self.name,
            what=self.what,
            unit="/s",
            measured=measured,
            against=self.against,
            reference=reference,
            wanted="" if self.wanted is None else f"≥ {self.wanted:.2f}",
            reached=None if self.wanted is None else measured >= self.wanted * reference,
        )


def _read(bench: Bench, *, cookie: bool = False) -> Load:
    return bench.get(f"{bench.small.path}/{bench.small.first_user + bench.small.users // 2}", cookie=cookie)


def _page(bench: Bench) -> Load:
    return bench.get(bench.large.path + _PAGE)


def _search(name: str, what: str, wanted: float | None, query: str) -> Comparison:
    return Comparison(
        name,
        what,
        wanted,
        lambda bench: bench.get(f"{bench.large.path}{_PAGE}&{query}"),
        "page of the large domain",
        _page,
    )


COMPARISONS = [
    Comparison("read", "one user, level 2", 0.6, _read),
    Comparison("read-cookie", "one user, level 2, login by cookie", 0.6, lambda bench: _read(bench, cookie=True)),
    Comparison("list", "page of 50, level 1", 0.4, lambda bench: bench.get(bench.small.path + _PAGE)),
    Comparison(
        "list-large",
        "page of 50, large domain",
        1 / 1.5,
        _page,
        "page of the small domain",
        lambda bench: bench.get(bench.small.path + _PAGE),
    ),
    _search("match", "search that finds a handful", 1 / 3, f"match={_RARE}"),
    _search("match-property", "the same, display names too", None, f"match={_RARE}&matchProps=displayname"),
    _search("match-frequent", "search that finds one in 30", None, f"match={_FREQUENT}"),
    _search("match-short", "search for two letters", None, f"match={_RARE[:2]}"),
    Comparison(
        "patch",
        "durable PATCH, 64 connections",
        5,
        lambda bench: bench.patch(bench.large, 64),
        "1 connection",
        lambda bench: bench.patch(bench.large, 1),
    ),
]
