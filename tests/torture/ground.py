"""A service under load, to which something is done: whether it recovers without a restart, and has kept everything."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import ClientSession, ClientTimeout, TCPConnector

from tests.load.load import Load
from tests.support.postgresql import PostgreSQL
from tests.support.service import ADMIN_PASSWORD
from tests.support.waiting import until
from tests.torture.process import Process
from tests.torture.shim import Shim
from tests.torture.sound import complaints

#: Seconds in which a fault has to show, and a service to recover.
LIMIT: Final = 60.0


@dataclass
class Outcome:
    """How often something was done, and how often the service went on without a restart."""

    name: str
    injected: int = 0
    recovered: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass
class Ground:
    """The service, the page of its disk and clock, and its clients."""

    process: Process
    shim: Shim
    load: Load
    #: How much of the log, and of what was found, has been looked at.
    _seen: int = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def prepared(
        cls, folder: Path, seed: int, *, workers: int = 1, server: PostgreSQL | None = None
    ) -> AsyncIterator["Ground"]:
        """Runs for as long as the block does."""
        database = server.url(server.make_database()) if server else str(folder / "store.sqlite3")
        connector = TCPConnector(force_close=workers > 1, limit=0)
        with Shim(folder) as shim, Process(folder, database, workers, shim.environ) as process:
            async with ClientSession(connector=connector, timeout=ClientTimeout(total=2 * LIMIT)) as session:
                load = Load(session, [process.url], seed)
                await load.prepare(ADMIN_PASSWORD)
                yield cls(process, shim, load)

    @property
    def acknowledged(self) -> int:
        """How many writes were acknowledged."""
        return sum(self.load.ledger.acknowledged.values())

    async def write(self, done: Callable[[], bool]) -> None:
        """The clients write until something is so. TimeoutError."""
        running = asyncio.create_task(self.load.run())
        try:
            await until(lambda: done() or running.done(), LIMIT)
        finally:
            self.load.stop()
            await running

    async def write_for(self, seconds: float) -> None:
        """The clients write for so long."""
        end = asyncio.get_running_loop().time() + seconds
        await self.write(lambda: asyncio.get_running_loop().time() >= end)

    async def recovers(self, outcome: Outcome) -> None:
        """After a fault: the status is good again, writes are acknowledged, and everything is as it has to be."""
        outcome.injected += 1
        try:
            await self.load.until_ready(self.process.url)
            before = self.acknowledged
            await self.write(lambda: self.acknowledged >= before + 8)
            await self.load.check(self.process.url)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what the fault has led to
            outcome.faults.append(f"{outcome.name}: it does not recover: {error!r}")
        ledger = self.load.ledger
        wrong = [
            *ledger.lost,
            *ledger.lies,
            *await asyncio.to_thread(complaints, self.process.database, self.process.key_file),
        ]
        said = self.process.said()
        if "Traceback" in said[self._seen :]:
            wrong.append(f"a traceback in the log: {said[self._seen :][-1500:]}")
        self._seen, ledger.lost, ledger.lies = len(said), [], []
        outcome.faults += [f"{outcome.name}: {line}" for line in wrong]
        outcome.recovered += not wrong
