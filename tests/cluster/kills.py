"""Kills servers and nodes of a cluster under load, and counts what came of it."""

import asyncio
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from random import Random
from typing import Final

from aiohttp import ClientSession, ClientTimeout

from tests.cluster.nodes import Node
from tests.cluster.servers import Cluster, ClusterError
from tests.load.ledger import Ledger
from tests.load.load import Load
from tests.support.service import ADMIN_PASSWORD

#: What is killed -> how many of twenty kills it has.
KINDS: Final = {"the primary": 10, "the primary and its Patroni": 4, "a postroom node": 6}
_NODES: Final = 2
#: Seconds in which writes have to go on after a kill, and the cluster has to be whole again.
_LIMIT: Final = 90.0


@dataclass
class Run:
    """What a run has found."""

    seed: int
    ledger: Ledger
    #: kind -> seconds until a write was acknowledged that began after the kill.
    seconds: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})

    @property
    def kills(self) -> int:
        """How many there were."""
        return sum(map(len, self.seconds.values()))

    def lines(self) -> list[str]:
        """The figures, for people."""
        found = self.ledger
        kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(found.acknowledged.items()))
        lines = [
            f"{self.kills} kills (seed {self.seed}); {sum(found.acknowledged.values())} writes acknowledged ({kinds})",
            f"Refused with nothing stored: {found.refused}; unknown outcomes: {found.unknown}",
            f"Documents compared: {found.compared}; the longest wait of a client: {found.slowest:.1f} s",
            f"Acknowledged writes lost: {len(found.lost)}. Answers that lied: {len(found.lies)}.",
        ]
        for kind, seconds in self.seconds.items():
            if seconds:
                median = statistics.median(seconds)
                lines.append(
                    f"Killed {kind}, {len(seconds)} times: writes go on after {median:.1f} s (median), "
                    f"{max(seconds):.1f} s (worst)"
                )
        return [*lines, *found.lost[:20], *found.lies[:20]]


def run(kills: int, seed: int, seconds: float, say: Callable[[str], None]) -> Run:
    """So many kills, or fewer when the seconds are over before. Raises ClusterError when the cluster breaks."""
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster())
        nodes = [stack.enter_context(Node(cluster.own, f"postroom{number}", cluster.url)) for number in range(_NODES)]
        say(f"The cluster runs; seed {seed}")
        return asyncio.run(_run(cluster, nodes, seed, kills, seconds, say))


async def _run(
    cluster: Cluster, nodes: list[Node], seed: int, kills: int, seconds: float, say: Callable[[str], None]
) -> Run:
    async with ClientSession(timeout=ClientTimeout(total=_LIMIT)) as session:
        load = Load(session, [node.url for node in nodes], seed)
        return await _Killing(cluster, nodes, load, seed, say).go(kills, time.monotonic() + seconds)


class _Killing:
    """One run."""

    def __init__(self, cluster: Cluster, nodes: list[Node], load: Load, seed: int, say: Callable[[str], None]) -> None:
        self._cluster, self._nodes, self._say = cluster, nodes, say
        self._random = Random(seed)  # noqa: S311 - the same at each run
        self._load = load
        self._run = Run(seed, self._load.ledger)

    async def go(self, kills: int, until: float) -> Run:
        try:
            await self._load.prepare(ADMIN_PASSWORD)
            running = asyncio.create_task(self._load.run())
            kinds = [kind for kind, number in KINDS.items() for _ in range(round(number * kills / 20) or 1)]
            self._random.shuffle(kinds)
            for kind in kinds[:kills]:
                if time.monotonic() > until or running.done():
                    break
                await self._kill(kind)
            self._load.stop()
            await running
            for node in self._nodes:
                await self._load.until_ready(node.url)
                await self._load.check(node.url)
        finally:
            self._load.stop()
        return self._run

    async def _kill(self, kind: str) -> None:
        await asyncio.sleep(self._random.uniform(0.3, 2.0))
        if kind == "a postroom node":
            self._random.choice(self._nodes).kill()
        else:
            primary = await asyncio.to_thread(lambda: self._cluster.primary)
            await asyncio.to_thread(primary.kill, patroni="Patroni" in kind)
        at = time.monotonic()
        seconds = await self._again(at)
        self._run.seconds[kind].append(seconds)
        self._say(f"Killed {kind}: writes go on after {seconds:.1f} s")
        for member in self._cluster.members:
            await asyncio.to_thread(member.start)
        await asyncio.to_thread(self._cluster.wait, _LIMIT)

    async def _again(self, at: float) -> float:
        while (seconds := self._load.ledger.writes_again(at)) is None:
            if time.monotonic() > at + _LIMIT:
                raise ClusterError(f"No write has been possible for {_LIMIT:.0f} seconds")
            await asyncio.sleep(0.05)
        return seconds
