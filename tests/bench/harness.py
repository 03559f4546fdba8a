"""What `postroom.testing` costs the tests that use it. Each measurement has a process of its own."""

import statistics
import subprocess
import sys
from functools import partial
from typing import Final

from tests.bench.bench import Measurements, Run
from tests.bench.results import Result, at_most
from tests.bench.servers import BrokenRunError

_IMPORT: Final = """
import time
began = time.perf_counter()
import postroom.testing
print(time.perf_counter() - began)
"""

_PLUGIN: Final = """
import time
import pytest
began = time.perf_counter()
import postroom.pytest_plugin
print((time.perf_counter() - began) * 1000)
"""

_START: Final = """
import asyncio, statistics, time
from postroom.testing import running

async def once():
    began = time.perf_counter()
    async with running() as server:
        await server.admin.get("/domains")
        return (time.perf_counter() - began) * 1000

async def main():
    await once()
    print(statistics.median([await once() for _ in range(20)]))

asyncio.run(main())
"""

_RESET: Final = """
import asyncio, json, statistics, time
from postroom.testing import PASSWORD, running

async def main():
    async with running() as server:
        await server.admin.post("/system/domains", {"domainname": "example.org", "maxUser": 1000})
        users = [
            {"username": f"user{number}", "password": PASSWORD, "properties": {"displayname": f"User {number}"}}
            for number in range(1000)
        ]
        body = "\\n".join(json.dumps({"create": user}) for user in users).encode()
        headers = {"Content-Type": "application/x-ndjson"}
        await server.admin.request("POST", "/domains/1/users/bulk", body, headers=headers)
        name = await server.snapshot()
        times = []
        for _ in range(20):
            await server.admin.delete("/domains/1/users/1")
            began = time.perf_counter()
            await server.restore(name)
            times.append((time.perf_counter() - began) * 1000)
            assert (await server.admin.get("/domains/1/users"))["count"] == 1000
        print(statistics.median(times))

asyncio.run(main())
"""

#: Fifty servers, each of which is used; %s is what is printed then.
_MANY: Final = """
import asyncio, threading
from contextlib import AsyncExitStack
from pathlib import Path
import psutil
from postroom.testing import PASSWORD, running

async def main():
    async with AsyncExitStack() as stack:
        for _ in range(50):
            server = await stack.enter_async_context(running())
            await server.admin.post("/system/domains", {"domainname": "example.org", "maxUser": 10})
            await server.admin.post("/domains/1/users", {"username": "anna", "password": PASSWORD})
            await server.admin.get("/domains/1/users", {"match": "ann"})
        process = psutil.Process()
        print(%s)

asyncio.run(main())
"""


#: (name, what, unit, the program that prints it, goal); docs/testing.md shows the goals.
GOALS: Final = [
    ("harness-import", "import of postroom.testing", "s", _IMPORT, 0.5),
    ("harness-plugin", "the plugin of pytest, unused", "ms", _PLUGIN, 100),
    ("harness-start", "running() until its first answer", "ms", _START, 30),
    ("harness-reset", "back to 1,000 users", "ms", _RESET, 10),
    ("harness-many", "resident with 50 servers", "MiB", _MANY % "process.memory_info().rss / 2**20", 250),
    ("harness-threads", "threads with 50 servers", "", _MANY % "process.num_threads()", 60),
]
NAMES: Final = [name for name, *_ in GOALS]


def measurements(run: Run) -> Measurements:
    """Each several times."""
    times = 1 if run.quick else 5
    for goal in GOALS:
        yield goal[0], partial(_measure, *goal, times)


def _measure(name: str, what: str, unit: str, code: str, most: float, times: int) -> Result:
    return at_most(name, what, unit, statistics.median(_printed(code) for _ in range(times)), most)


def _printed(code: str) -> float:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BrokenRunError(done.stderr.strip().rpartition("\n")[2])
    return float(done.stdout)
