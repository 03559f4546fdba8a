"""Servers under measurement: processes on a core of their own, ended whatever happens."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

#: Seconds that a server may take to say where it listens, and to end.
_PATIENCE = 30
_ADDRESS = re.compile(r"listens on (http://[0-9.]+:[0-9]+)")
#: Of the administrator of a database that is thrown away.
PASSWORD = "bench-password"

_usable = sorted(os.sched_getaffinity(0))
#: Where servers run and where the load comes from: two cores, or one where there is only one.
SERVER_CORE, CLIENT_CORE = _usable[0], _usable[-1]


class BrokenRunError(Exception):
    """Something did not work, so that there is nothing to compare; the text says what."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs."""

    url: str
    pid: int

    def resident_mebibytes(self) -> float:
        """Memory of the process that is in RAM."""
        return self._memory("VmRSS")

    def peak_mebibytes(self) -> float:
        """The most of it since forget_peak()."""
        return self._memory("VmHWM")

    def forget_peak(self) -> None:
        """From now on is another time to look at."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def cpu_seconds(self) -> float:
        """What the process has computed so far, all threads together."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _memory(self, name: str) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
        if found is None:
            raise BrokenRunError(f"The server is gone: /proc/{self.pid} has no memory")
        return int(found[1]) / 1024


@contextmanager
def on_cores(cores: Set[int]) -> Iterator[None]:
    """What this thread starts meanwhile runs on these cores alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def on_core(core: int) -> AbstractContextManager[None]:
    """The same for one core."""
    return on_cores({core})


@contextmanager
def postroom(
    database: Path,
    password: str | None = PASSWORD,
    *,
    workers: int = 1,
    everywhere: bool = False,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Server]:
    """The service on a database, on a core of its own or on all of them.

    Without a password it starts as one whose administrator was made before. `settings` count more than the database;
    the log is beside that.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("POSTROOM_")}
    environment |= {"POSTROOM_DATABASE": str(database), **settings}
    if password is not None:
        environment["POSTROOM_ADMIN_PASSWORD"] = password
    command = [str(Path(sys.executable).with_name("postroom")), "serve", "--port", "0"]
    command += ["--workers", str(workers)]
    log = database.with_name("postroom.log" if workers == 1 else f"postroom-{workers}.log")
    cores = set(_usable) if everywhere else {SERVER_CORE}
    with _running(command, environment, log, cores) as server:
        yield server


@contextmanager
def bare(body: Path, path: str) -> Iterator[Server]:
    """The bare server, answering the bytes of that file at that path, which may hold parameters in braces."""
    command = [sys.executable, "-m", "tests.bench.bare", str(body), path]
    with _running(command, os.environ, body.with_name("bare.log")) as server:
        yield server


@contextmanager
def _running(
    command: Sequence[str], environment: Mapping[str, str], log: Path, cores: Set[int] = frozenset({SERVER_CORE})
) -> Iterator[Server]:
    with log.open("wb") as errors, on_cores(cores):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        yield Server(_address(process, log), process.pid)
    finally:
        _end(process)


def _address(process: subprocess.Popen[str], log: Path) -> str:
    """Waits for the line with the address; a server that never says it is killed, which ends the wait."""
    watchdog = threading.Timer(_PATIENCE, process.kill)
    watchdog.start()
    try:
        for line in process.stdout or ():
            if found := _ADDRESS.search(line):
                return found[1]
    finally:
        watchdog.cancel()
    process.wait()
    raise BrokenRunError(f"A server did not start (exit code {process.returncode}): {log.read_text()[-2000:]}")


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
