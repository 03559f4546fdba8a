"""What goes on while a directory server is broken, for each fault of tests/support/faults.py."""

import asyncio
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench.bench import Measurements, Run
from tests.bench.client import answer_of, call, log_in
from tests.bench.results import Result, at_most
from tests.bench.servers import CLIENT_CORE, BrokenRunError, Server, on_core, postroom
from tests.bench.wrk import Load, percentile_99
from tests.support.faults import MODES, fault_server

NAME = "ldap-faults"

#: Requests to LDAP at the same time: more than there are connections to a directory.
_ASKING = 8
_MOST_MILLISECONDS = 50
#: Seconds of POSTROOM_LDAP_TIMEOUT, and one for the way.
_MOST_SECONDS = 5 + 1
#: Percent of a core, of a process that only waits.
_MOST_CPU = 5
_LOOK_AT_CPU = 3


@dataclass(frozen=True, slots=True)
class _Behaviour:
    """The slowest read of the fastest 99 of 100 (ms), before and meanwhile, the slowest answer about LDAP (s), and the
    CPU (percent).
    """

    undisturbed: float
    reads: float
    answer: float
    cpu: float


def measurements(run: Run) -> Measurements:
    """All of them together; in a hurry, the first fault alone."""
    yield NAME, partial(_measure, run.folder, MODES[:1] if run.quick else MODES, run.rounds)


def _measure(folder: Path, modes: Sequence[str], rounds: int) -> list[Result]:
    """A row for each fault, and two for the worst of them all."""
    with postroom(folder / "faults.sqlite3") as server:
        token = log_in(server.url)
        call(server.url, token, "POST", "/api/v1/system/domains", {"domainname": "example.com", "maxUser": 10})
        user = call(server.url, token, "POST", "/api/v1/domains/1/users", {"username": "info", "status": 4})
        service = _Service(server, token, f"/api/v1/domains/1/users/{user['ID']}", rounds)
        found = {mode: service.behaviour(mode) for mode in modes}
    slowest = max(found, key=lambda mode: found[mode].answer)
    busiest = max(found, key=lambda mode: found[mode].cpu)
    return [
        *(
            Result(
                f"fault-{mode}",
                "99 % of reads meanwhile",
                "ms",
                behaviour.reads,
                against="the same, undisturbed",
                reference=behaviour.undisturbed,
                wanted=f"≤ {_MOST_MILLISECONDS} ms",
                reached=behaviour.reads <= _MOST_MILLISECONDS,
            )
            for mode, behaviour in found.items()
        ),
        at_most("fault-answer", f"slowest 503 ({slowest})", "s", found[slowest].answer, _MOST_SECONDS),
        at_most("fault-cpu", f"most CPU while waiting ({busiest})", "%", found[busiest].cpu, _MOST_CPU),
    ]


@dataclass(frozen=True, slots=True)
class _Service:
    server: Server
    token: str
    #: Of the user who is read, and updated from the directory.
    path: str
    rounds: int

    def percentile_99(self) -> float:
        """The median of a few rounds: one moment of another process does not count."""
        load = Load(self.server.url + self.path, {"Authorization": f"Bearer {self.token}"})
        return statistics.median(percentile_99(load, 1) for _ in range(self.rounds))

    def behaviour(self, mode: str) -> _Behaviour:
        with on_core(CLIENT_CORE), _fault(mode) as address:
            self._configure(f"{'ldaps' if mode == 'tls' else 'ldap'}://{address}")
            # Just before, so that what else the machine does hits both.
            undisturbed = self.percentile_99()
            with self._asking(over_and_over=True) as busy:
                reads = self.percentile_99()
            with self._asking(over_and_over=False) as waiting:
                cpu = self._cpu()
        return _Behaviour(undisturbed, reads, max(answer.result() for answer in [*busy, *waiting]), cpu)

    def _configure(self, server: str) -> None:
        document = {
            "connection": {"server": server, "bindUser": "cn=admin", "bindPass": "secret"},
            "baseDn": "dc=example",
            "objectID": "objectGUID",
            "users": {"username": "mail"},
        }
        call(self.server.url, self.token, "PUT", "/api/v1/system/mconf/ldap?force=true", document)

    @contextmanager
    def _asking(self, *, over_and_over: bool) -> Iterator[list[Future[float]]]:
        """Requests to LDAP during the block, and until they are answered; each future gets its slowest answer."""
        stop = threading.Event()

        def ask() -> float:
            slowest = self._ask()
            while over_and_over and not stop.is_set():
                slowest = max(slowest, self._ask())
            return slowest

        with ThreadPoolExecutor(_ASKING) as threads:
            asking = [threads.submit(ask) for _ in range(_ASKING)]
            try:
                yield asking
            finally:
                stop.set()

    def _ask(self) -> float:
        began = time.perf_counter()
        status, answer = answer_of(self.server.url, self.token, "PUT", f"{self.path}/downsync?ID=abcd")
        if status != 503:
            raise BrokenRunError(f"A broken directory was answered with {status}: {answer}")
        return time.perf_counter() - began

    def _cpu(self) -> float:
        """Percent of a core that the service takes with nothing to do but to wait for the directory."""
        time.sleep(1)
        before = self.server.cpu_seconds()
        time.sleep(_LOOK_AT_CPU)
        return (self.server.cpu_seconds() - before) / _LOOK_AT_CPU * 100


@contextmanager
def _fault(mode: str) -> Iterator[str]:
    """The address of the broken server, in a thread with a loop of its own."""
    ready: Future[str] = Future()
    stop = asyncio.Event()

    async def serve() -> None:
        async with fault_server(mode) as address:
            ready.set_result(address)
            await stop.wait()

    with ThreadPoolExecutor(1) as thread:
        loop = asyncio.new_event_loop()
        running = thread.submit(loop.run_until_complete, serve())
        try:
            yield ready.result(30)
        finally:
            loop.call_soon_threadsafe(stop.set)
            running.result()
            loop.close()
