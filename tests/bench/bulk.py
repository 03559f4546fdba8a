"""Bringing many users up to date from a real directory server: how fast, how large, and who is disturbed by it."""

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench.bench import Measurements, Run
from tests.bench.client import call, log_in
from tests.bench.meanwhile import going_on
from tests.bench.results import Result
from tests.bench.servers import CLIENT_CORE, BrokenRunError, Server, on_core, postroom
from tests.bench.wrk import Load, requests_per_second
from tests.support.slapd import Slapd, config_document, people_ldif

NAMES = ["ldap-new", "ldap-unchanged", "ldap-reads", "ldap-memory"]

_UPDATE = "/api/v1/domains/ldap/downsync?import=true&timeout=120"
_FEWEST_NEW, _FEWEST_UNCHANGED = 1000, 3000
_FEWEST_READS = 0.5
_MOST_MEBIBYTES = 60
#: What twice the noise of resident memory may be, between few people and many.
_SAME_MEBIBYTES = 8


@dataclass
class Bulk:
    """A service whose domain is filled from a directory of so many people."""

    server: Server
    token: str
    people: int
    filled: bool = False

    def fill(self) -> float:
        """Seconds in which everybody was created; 0 when they are there already."""
        seconds = 0.0 if self.filled else self._update("created")
        self.filled = True
        return seconds

    def update(self) -> float:
        """Seconds in which everybody was found unchanged."""
        self.fill()
        return self._update("unchanged")

    def read(self) -> Load:
        """Reading one of them."""
        self.fill()
        path = f"/api/v1/domains/1/users/{self.people // 2}"
        return Load(self.server.url + path, {"Authorization": f"Bearer {self.token}"})

    def _update(self, outcome: str) -> float:
        began = time.perf_counter()
        answer = call(self.server.url, self.token, "POST", _UPDATE)
        seconds = time.perf_counter() - began
        if answer["message"] != f"Done: {self.people} {outcome}":
            raise BrokenRunError(f"{self.people} people were to be {outcome}, but: {answer['message']}")
        return seconds


def measurements(run: Run) -> Measurements:
    """Each to be run before the next is taken: they share a server."""
    with _bulk(run.folder / "bulk.sqlite3", 2_000 if run.quick else 10_000) as bulk:
        yield "ldap-new", partial(_new, bulk)
        yield "ldap-unchanged", partial(_unchanged, bulk)
        yield "ldap-reads", partial(_reads, bulk, run.seconds, run.rounds)
    yield "ldap-memory", partial(_memory, run.folder, 500 if run.quick else 5_000)


@contextmanager
def _bulk(database: Path, people: int) -> Iterator[Bulk]:
    with (
        on_core(CLIENT_CORE),
        Slapd() as directory,
        postroom(database) as server,
    ):
        directory.load(people_ldif(people))
        token = log_in(server.url)
        domain = {"domainname": "example.com", "maxUser": people}
        call(server.url, token, "POST", "/api/v1/system/domains", domain)
        call(server.url, token, "PUT", "/api/v1/system/mconf/ldap", config_document(directory))
        yield Bulk(server, token, people)


def _new(bulk: Bulk) -> Result:
    return _rate("ldap-new", f"creating {bulk.people:,} people", bulk.people / bulk.fill(), _FEWEST_NEW)


def _unchanged(bulk: Bulk) -> Result:
    rate = bulk.people / statistics.median(bulk.update() for _ in range(3))
    return _rate("ldap-unchanged", f"{bulk.people:,} people, unchanged", rate, _FEWEST_UNCHANGED)


def _rate(name: str, what: str, rate: float, fewest: int) -> Result:
    return Result(name, what, "/s", rate, wanted=f"≥ {fewest:,} /s", reached=rate >= fewest)


def _reads(bulk: Bulk, seconds: int, rounds: int) -> Result:
    load = bulk.read()
    undisturbed, disturbed = [], []
    for _ in range(rounds):
        undisturbed.append(requests_per_second(load, seconds))
        with going_on(partial(_update_on, bulk)):
            disturbed.append(requests_per_second(load, seconds))
    measured, reference = statistics.median(disturbed), statistics.median(undisturbed)
    return Result(
        "ldap-reads",
        "one user, while all are updated",
        "/s",
        measured,
        against="the same, undisturbed",
        reference=reference,
    ).at_least_times(_FEWEST_READS)


def _update_on(bulk: Bulk, stop: threading.Event) -> None:
    """Updates everybody over and over until the event is set."""
    while not stop.is_set():
        bulk.update()


def _memory(folder: Path, few: int) -> Result:
    reference, measured = (_growth(folder / f"{people}.sqlite3", people) for people in (few, 4 * few))
    return Result(
        "ldap-memory",
        f"peak over rest, {4 * few:,} people",
        "MiB",
        measured,
        against=f"{few:,} people",
        reference=reference,
        wanted=f"≤ {_MOST_MEBIBYTES} MiB, same",
        reached=measured <= _MOST_MEBIBYTES and measured <= reference + _SAME_MEBIBYTES,
    )


def _growth(database: Path, people: int) -> float:
    """Mebibytes by which the service grows while it creates people and finds them unchanged."""
    with _bulk(database, people) as bulk:
        before = bulk.server.resident_mebibytes()
        bulk.server.forget_peak()
        bulk.update()
        return bulk.server.peak_mebibytes() - before
