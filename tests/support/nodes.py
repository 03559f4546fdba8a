"""Nodes of one store: `postroom serve` processes that share it, and calls that go to each of them in turn."""

import contextlib
from collections.abc import AsyncIterator
from itertools import cycle
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientTimeout, TCPConnector

from tests.app.test_cli import Running, serving

ADMIN_PASSWORD = "a long enough password"


class Nodes:
    """Running nodes. Each call is a connection of its own, so it may reach any worker of the node."""

    def __init__(self, running: list[Running]) -> None:
        self.running = running
        self.urls = [f"http://127.0.0.1:{each.ports[0]}/api/v1" for each in running]
        self._turns = cycle(range(len(running)))
        self._session: ClientSession | None = None

    async def call(self, method: str, path: str, body: Any = None, login: Any = None, node: int | None = None) -> Any:
        """(status, body) of a call to the next node, or to this one."""
        if self._session is None:
            self._session = ClientSession(connector=TCPConnector(force_close=True, limit=0), timeout=ClientTimeout(90))
        url = self.urls[next(self._turns) if node is None else node] + path
        async with self._session.request(method, url, json=body, headers=login) as response:
            return response.status, await response.json()

    async def done(self, method: str, path: str, body: Any = None, login: Any = None, node: int | None = None) -> Any:
        """The body of a call that must succeed."""
        status, found = await self.call(method, path, body, login, node)
        assert status in (200, 201, 202), (method, path, status, found)
        return found

    async def log_in(self, user: str = "admin", password: str = ADMIN_PASSWORD, node: int | None = None) -> Any:
        """The header of a login."""
        answer = await self.done("POST", "/login", {"user": user, "pass": password}, node=node)
        return {"Authorization": f"Bearer {answer['grommunioAuthJwt']}"}

    async def close(self) -> None:
        """Ends the connections, and each node in good order."""
        if self._session is not None:
            await self._session.close()
        for each in self.running:
            if each.process.poll() is None:
                assert each.stop() == 0, each.lines

    @property
    def log(self) -> str:
        """What those that have ended have written."""
        return "\n".join(line for each in self.running for line in each.lines)


@contextlib.asynccontextmanager
async def nodes_of(folder: Path, settings: dict[str, str], count: int = 1, workers: int = 1) -> AsyncIterator[Nodes]:
    """Starts so many nodes and ends them with the block."""
    with contextlib.ExitStack() as stack:
        usual = {"POSTROOM_ADMIN_PASSWORD": ADMIN_PASSWORD, **settings}
        running = [
            stack.enter_context(serving(folder, "--workers", str(workers), "--host", "127.0.0.1", **usual))
            for _ in range(count)
        ]
        for each in running:
            assert each.ports, each.lines
        nodes = Nodes(running)
        try:
            yield nodes
        finally:
            await nodes.close()
