"""Driving a server with wrk."""

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.servers import CLIENT_CORE, BrokenRunError, on_core

#: Each user of a block is changed one way, then each the other way, then it is the next block's turn: every request is
#: a change, and requests under way at the same time are about different users.
PATCH_SCRIPT = """
local first, users, path, headers, sent = {first}, {users}, "{path}/", {{}}, 0
local block = 64
headers["Content-Type"] = "application/json"
headers["Authorization"] = "{authorization}"
request = function()
    local pass = math.floor(sent / block)
    local id = first + (math.floor(pass / 2) * block + sent % block) % users
    sent = sent + 1
    return wrk.format("PATCH", path .. id, headers, pass % 2 == 0 and '{{"smtp": true}}' or '{{"smtp": false}}')
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of a server: one path over and over, or what a Lua script says."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    connections: int = 32
    script: Path | None = None


def check_wrk() -> None:
    """Raises BrokenRunError when wrk is not installed."""
    if shutil.which("wrk") is None:
        raise BrokenRunError("wrk is not installed; it is in the package wrk of Debian and Ubuntu")


def requests_per_second(load: Load, seconds: int) -> float:
    """How many requests a server answers. Raises BrokenRunError when any of them failed."""
    output = _drive(load, seconds)
    found = re.search(r"^Requests/sec:\s+([0-9.]+)$", output, re.MULTILINE)
    if found is None or float(found[1]) == 0:
        raise BrokenRunError(f"{load.url}: nothing was answered")
    return float(found[1])


def requests_answered(load: Load, seconds: int) -> int:
    """How many requests a server answers in that time. Raises BrokenRunError when any of them failed."""
    found = re.search(r"^\s+([0-9]+) requests in ", _drive(load, seconds), re.MULTILINE)
    return int(found[1]) if found else 0


@contextmanager
def driven(load: Load) -> Iterator[None]:
    """Goes on during the block, whatever is answered. Raises BrokenRunError when nothing is."""
    process = _start([*_command(load, 3600), "--timeout", "60s", load.url])
    try:
        yield
        process.send_signal(signal.SIGINT)  # wrk shows what it has found so far
        output, _ = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        raise BrokenRunError(f"wrk did not end: {load.url}") from None
    finally:
        process.kill()
        process.wait()
    if not re.search(r"^\s+[1-9][0-9]* requests in ", output, re.MULTILINE):
        raise BrokenRunError(f"{load.url}: nothing was answered: {output.strip()}")


def percentile_99(load: Load, seconds: int) -> float:
    """Milliseconds within which 99 of 100 requests are answered. Raises BrokenRunError when any of them failed."""
    found = re.search(r"^\s+99%\s+([0-9.]+)(us|ms|s)$", _drive(load, seconds, "--latency"), re.MULTILINE)
    if found is None:
        raise BrokenRunError(f"{load.url}: nothing was answered")
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000}[found[2]]


def _command(load: Load, seconds: int) -> list[str]:
    command = ["wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s"]
    for name, value in load.headers.items():
        command += ["-H", f"{name}: {value}"]
    if load.script is not None:
        command += ["-s", str(load.script)]
    return command


def _drive(load: Load, seconds: int, *options: str) -> str:
    output = _run([*_command(load, seconds), *options, load.url], seconds + 30)
    for failure in ("Non-2xx or 3xx responses", "Socket errors"):
        if failure in output:
            line = next(line.strip() for line in output.splitlines() if failure in line)
            raise BrokenRunError(f"{load.url}: {line}")
    return output


def _run(command: Sequence[str], timeout: int) -> str:
    process = _start(command)
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise BrokenRunError(f"wrk did not end: {command[-1]}") from None
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise BrokenRunError(f"wrk failed: {output.strip()}")
    return output


def _start(command: Sequence[str]) -> subprocess.Popen[str]:
    with on_core(CLIENT_CORE):
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
