"""What all measurements of one run share."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.fill import Domain
from tests.bench.servers import Server
from tests.bench.wrk import PATCH_SCRIPT, Load, requests_per_second


@dataclass(frozen=True, slots=True)
class Bench:
    """The service under measurement, its two domains, and how long to drive it."""

    server: Server
    token: str
    small: Domain
    large: Domain
    folder: Path
    seconds: int
    rounds: int

    def get(self, path: str, *, cookie: bool = False) -> Load:
        """Reading, logged in by Bearer or by cookie."""
        login = {"Cookie": f"grommunioAuthJwt={self.token}"} if cookie else {"Authorization": f"Bearer {self.token}"}
        return Load(self.server.url + path, login)

    def patch(self, domain: Domain, connections: int) -> Load:
        """Changing one user after the other."""
        script = self.folder / "patch.lua"
        script.write_text(
            PATCH_SCRIPT.format(
                first=domain.first_user, users=domain.users, path=domain.path, authorization=f"Bearer {self.token}"
            )
        )
        return Load(self.server.url, connections=connections, script=script)

    def alternate(self, loads: Sequence[Load]) -> list[float]:
        """The median of the rounds of each load. They take turns, so that what else the machine does hits them all."""
        rounds = [[requests_per_second(load, self.seconds) for load in loads] for _ in range(self.rounds)]
        return [statistics.median(figures) for figures in zip(*rounds, strict=True)]
