"""What mail servers ask, of few users and of many: how fast, who is disturbed, and how soon they see a change."""

import itertools
import os
import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tests.bench.bench import Bench, Measurements, Run
from tests.bench.client import call
from tests.bench.meanwhile import going_on
from tests.bench.people import people
from tests.bench.results import Result
from tests.bench.servers import BrokenRunError, postroom
from tests.bench.stores import Domain
from tests.bench.wrk import requests_per_second
from tests.support.mail_sockets import Client

NAMES: Final = ["mail-look-ups", "mail-postmap", "mail-reads", "mail-visible"]

_MOST_TIMES: Final = 1.5
_FEWEST_READS: Final = 0.8
_MOST_MILLISECONDS: Final = 200
#: Look-ups a second beside the reads, and how many wait for their time together.
_BESIDE: Final = 500
_AT_ONCE: Final = 5
#: Short turns, so that what else the machine does hits both: how many in each round, and seconds.
_TURNS: Final = 5
_TURN: Final = 0.2
#: Look-ups that postmap does over one connection.
_KEYS: Final = 1_000


@dataclass(frozen=True, slots=True)
class _Asked:
    """A service with a domain of people, and where to ask it."""

    bench: Bench
    socket: Path
    #: Addresses that somebody has, spread over the domain.
    keys: list[str]


def measurements(run: Run) -> Measurements:
    """Each to be run before the next is taken: they share servers."""
    (run.folder / "main.cf").write_text("compatibility_level = 3.6\n")
    # Postfix waits for a file that has just been written.
    os.utime(run.folder / "main.cf", (0, 0))
    with ExitStack() as stack:
        few, many = (stack.enter_context(_asked(run, name, place)) for name, place in (("small", 0), ("middle", 1)))
        yield "mail-look-ups", partial(_over_one_connection, few, many)
        yield "mail-postmap", partial(_by_postmap, run.folder, few, many)
        yield "mail-reads", partial(_beside_reads, many)
        yield "mail-visible", partial(_visible, run.folder, many)


@contextmanager
def _asked(run: Run, name: str, place: int) -> Iterator[_Asked]:
    store, folder = run.store(name), run.folder / f"mail-{name}"
    folder.mkdir()
    domain = store.domains[place]
    with postroom(store.database, settings={"POSTROOM_MAIL_SOCKETS": str(folder)}) as server:
        yield _Asked(run.bench(server, store), folder / "postfix", _keys(domain, place))


def _keys(domain: Domain, place: int) -> list[str]:
    """As many for each, or the start of postmap would count more for few."""
    step = max(domain.users // _KEYS, 1)
    found = [f"{each.local}@bench{place}.example" for each in itertools.islice(people(domain.users), 0, None, step)]
    return list(itertools.islice(itertools.cycle(found), _KEYS))


def _alternated(few: _Asked, many: _Asked, measure: Callable[[_Asked], float]) -> tuple[float, float]:
    """The medians of both, which take turns."""
    rounds = [(measure(few), measure(many)) for _ in range(_TURNS * few.bench.rounds)]
    first, second = zip(*rounds, strict=True)
    return statistics.median(first), statistics.median(second)


def _compared(name: str, what: str, few: _Asked, many: _Asked, measure: Callable[[_Asked], float]) -> Result:
    reference, measured = _alternated(few, many, measure)
    people = (f"{each.bench.large.users if each is many else each.bench.small.users:,} users" for each in (many, few))
    return Result(
        name, f"{what}, {next(people)}", "µs", measured, against=next(people), reference=reference
    ).at_most_times(_MOST_TIMES)


def _over_one_connection(few: _Asked, many: _Asked) -> Result:
    return _compared("mail-look-ups", "a look-up of a mailbox", few, many, _microseconds)


def _microseconds(asked: _Asked) -> float:
    with Client(asked.socket) as client:
        begun = time.perf_counter()
        for done, key in enumerate(itertools.cycle(asked.keys), 1):
            if client.look_up("mailboxes", key).startswith("TEMP"):
                raise BrokenRunError("a look-up was not answered")
            if (took := time.perf_counter() - begun) > _TURN:
                return took / done * 1e6
    raise BrokenRunError("nobody is there")


def _by_postmap(folder: Path, few: _Asked, many: _Asked) -> Result:
    return _compared("mail-postmap", "a look-up by postmap", few, many, partial(_postmap_microseconds, folder))


def _postmap_microseconds(folder: Path, asked: _Asked) -> float:
    begun = time.perf_counter()
    found = _postmap(folder, asked.socket, "aliases", "\n".join(asked.keys), "-")
    took = time.perf_counter() - begun
    if found.stderr:
        raise BrokenRunError(found.stderr)
    return took / len(asked.keys) * 1e6


def _postmap(folder: Path, place: Path, name: str, said: str, key: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("postmap") is None:
        raise BrokenRunError("postmap is not installed; it is in the package postfix of Debian and Ubuntu")
    command = ["postmap", "-c", str(folder), "-q", key, f"socketmap:unix:{place}:{name}"]
    return subprocess.run(command, input=said, capture_output=True, text=True, check=False)


def _beside_reads(asked: _Asked) -> Result:
    load = asked.bench.get(f"{asked.bench.small.path}/{asked.bench.small.first_user}")
    alone, beside = [], []
    for _ in range(asked.bench.rounds):
        alone.append(requests_per_second(load, asked.bench.seconds))
        with going_on(partial(_look_up, asked)):
            beside.append(requests_per_second(load, asked.bench.seconds))
    return Result(
        "mail-reads", f"one user, with {_BESIDE} look-ups a second", "/s", statistics.median(beside),
        against="the same, alone", reference=statistics.median(alone),
    ).at_least_times(_FEWEST_READS)  # fmt: skip


def _look_up(asked: _Asked, stop: threading.Event) -> None:
    """Looks up so often until the event is set. Raises BrokenRunError when the service does not keep up."""
    done, begun = 0, time.perf_counter()
    try:
        with Client(asked.socket) as client:
            while not stop.is_set():
                for key in itertools.islice(itertools.cycle(asked.keys), done, done + _AT_ONCE):
                    client.look_up("mailboxes", key)
                done += _AT_ONCE
                stop.wait(max(begun + done / _BESIDE - time.perf_counter(), 0))
    except OSError as error:
        raise BrokenRunError(f"look-ups: {error}") from error
    if done < 0.9 * _BESIDE * (time.perf_counter() - begun):
        raise BrokenRunError(f"only {done} look-ups were done")


def _visible(folder: Path, asked: _Asked) -> Result:
    """From the response to a change until both have seen it: a plain connection and a new postmap."""
    server, domain = asked.bench.server, asked.bench.small
    waits = []
    with Client(asked.socket) as client:
        for number in range(5 * asked.bench.rounds):
            alias = f"seen{number}@bench0.example"
            path = f"{domain.path}/{domain.first_user}"
            call(server.url, asked.bench.token, "PATCH", path, {"aliases": [alias]})
            begun = time.perf_counter()
            while not client.look_up("aliases", alias).startswith("OK "):
                pass
            while _postmap(folder, asked.socket, "aliases", "", alias).returncode:
                pass
            waits.append((time.perf_counter() - begun) * 1000)
    return Result(
        "mail-visible", "a new alias, until Postfix sees it", "ms", max(waits), wanted=f"≤ {_MOST_MILLISECONDS} ms",
        reached=max(waits) <= _MOST_MILLISECONDS,
    )  # fmt: skip
