"""Kills at random moments, under clients that write all the time; after each, everything is compared."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

import psutil
from aiohttp import ClientSession, ClientTimeout, TCPConnector

from tests.load.ledger import Ledger
from tests.load.load import Load
from tests.support.postgresql import PostgreSQL
from tests.support.service import ADMIN_PASSWORD
from tests.support.slapd import Slapd
from tests.torture.process import Process
from tests.torture.sound import complaints

#: Who is killed, of a service with three workers -> how many of twenty kills.
WORKERS: Final = {"a worker": 6, "the keeper and its workers": 4, "the keeper": 2}
#: The same for a service that is one process.
ALONE: Final = {"the process": 8}
#: And for PostgreSQL under it.
SERVER: Final = {"the postmaster": 10}
#: Seconds of writing before a kill.
_BEFORE: Final = (0.05, 0.6)
_TIMEOUT: Final = 60.0
#: After so many kills, also what was not written to in between is compared.
_WHOLE: Final = 20


@dataclass
class Kills:
    """What a run has found."""

    engine: str
    seed: int
    ledgers: list[Ledger] = field(default_factory=list)
    #: kind -> how many there were.
    killed: Counter[str] = field(default_factory=Counter)
    #: What checks of the store itself have found.
    unsound: list[str] = field(default_factory=list)

    @property
    def acknowledged(self) -> Counter[str]:
        """Acknowledged writes by kind."""
        return sum((ledger.acknowledged for ledger in self.ledgers), Counter())

    @property
    def figures(self) -> dict[str, int]:
        """What a run amounts to."""
        return {
            "kills": sum(self.killed.values()),
            "acknowledged writes": sum(self.acknowledged.values()),
            "refused": sum(ledger.refused for ledger in self.ledgers),
            "unanswered": sum(ledger.unknown for ledger in self.ledgers),
            "documents compared": sum(ledger.compared for ledger in self.ledgers),
            "rows of the record found": sum(ledger.recorded for ledger in self.ledgers),
            "lost": sum(len(ledger.lost) for ledger in self.ledgers),
            "wrong": len(self.faults),
        }

    @property
    def faults(self) -> list[str]:
        """Everything that must not be."""
        return [line for ledger in self.ledgers for line in (*ledger.lost, *ledger.lies)] + self.unsound


def run(engine: str, kills: int, seed: int, say: Callable[[str], None]) -> Kills:
    """So many kills on SQLite or PostgreSQL."""
    return asyncio.run(_run(engine, kills, seed, say))


async def _run(engine: str, kills: int, seed: int, say: Callable[[str], None]) -> Kills:
    found = Kills(engine, seed)
    random = Random(f"{engine}{seed}")  # noqa: S311 - the same at each run
    weights = {**ALONE, **WORKERS, **(SERVER if engine == "postgresql" else {})}
    total = sum(weights.values())
    shares = {kind: round(kills * weight / total) or 1 for kind, weight in weights.items()}
    with _room(engine) as (folder, server):
        for workers, kinds in ((1, [*ALONE, *(SERVER if server else {})]), (3, [*WORKERS])):
            place = folder / f"workers{workers}"
            place.mkdir()
            database = server.url(server.make_database()) if server else str(place / "store.sqlite3")
            order = [kind for kind in kinds for _ in range(shares[kind])]
            random.shuffle(order)
            with ExitStack() as stack:
                slapd = stack.enter_context(Slapd())
                process = stack.enter_context(Process(place, database, workers))
                await _Killing(process, server, found, random, say).go(order, slapd)
            if found.faults:
                break
    return found


@contextmanager
def _room(engine: str) -> Iterator[tuple[Path, PostgreSQL | None]]:
    with TemporaryDirectory(prefix="torture-") as folder, ExitStack() as stack:
        server = stack.enter_context(PostgreSQL()) if engine == "postgresql" else None
        yield Path(folder), server


class _Killing:
    def __init__(
        self, process: Process, server: PostgreSQL | None, found: Kills, random: Random, say: Callable[[str], None]
    ) -> None:
        self._process, self._server = process, server
        self._found, self._random, self._say = found, random, say

    async def go(self, order: list[str], slapd: Slapd) -> None:
        timeout = ClientTimeout(total=_TIMEOUT)
        # Each request is a connection of its own, so it may reach any worker.
        async with ClientSession(connector=TCPConnector(force_close=True, limit=0), timeout=timeout) as session:
            load = Load(session, [self._process.url], self._found.seed, slapd)
            self._found.ledgers.append(load.ledger)
            await load.prepare(ADMIN_PASSWORD)
            for number, kind in enumerate(order, 1):
                await self._kill(load, kind)
                self._found.killed[kind] += 1
                await load.check(self._process.url, whole=number % _WHOLE == 0 or number == len(order))
                self._found.unsound += await asyncio.to_thread(
                    complaints, self._process.database, self._process.key_file
                )
                if self._found.faults:
                    return
                figures = self._found.figures
                self._say(
                    f"{self._found.engine}: {figures['kills']} kills, {figures['acknowledged writes']} writes "
                    f"acknowledged, {figures['lost']} lost"
                )

    async def _kill(self, load: Load, kind: str) -> None:
        running = asyncio.create_task(load.run())
        await asyncio.sleep(self._random.uniform(*_BEFORE))
        orphans = self._strike(kind)
        load.stop()
        await running
        await asyncio.to_thread(psutil.wait_procs, orphans, _TIMEOUT)
        await asyncio.to_thread(self._revive, kind)
        await load.until_ready(self._process.url)

    def _strike(self, kind: str) -> list[psutil.Process]:
        """Kills; returns those who have to end by themselves now."""
        if kind == "a worker":
            self._random.choice(self._process.everyone[1:]).kill()
        elif kind == "the keeper":
            return self._process.kill_keeper()
        elif kind == "the postmaster":
            assert self._server is not None
            self._server.kill()
        else:
            self._process.kill()
        return []

    def _revive(self, kind: str) -> None:
        if kind == "the postmaster":
            assert self._server is not None
            self._server.start()
        elif kind != "a worker":
            self._process.start()
