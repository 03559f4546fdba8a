"""How long others wait while somebody attacks: `python -m tests.attacks`.

Each attack goes on for some seconds against a service of its own with 20,000 users. Meanwhile somebody
from another address asks for the status, reads a user and logs in. The table shows the longest wait of each, and how
many times as long it is as the longest one undisturbed.
"""

import asyncio
import contextlib
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import typer
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector
from rich.console import Console
from rich.table import Table

from tests.attacks.attacks import API, Target, attacks, carry_out
from tests.bench.client import call, log_in
from tests.bench.servers import CLIENT_CORE, PASSWORD, on_core, postroom
from tests.bench.stores import make_store

_USERS: Final = 20_000
#: Where the others come from.
_OTHERS: Final = "127.0.0.33"
#: Milliseconds that nobody should wait longer than; a login is let compute its hash, too.
_WANTED: Final = {"status": 250, "read": 250, "login": 2000}


@dataclass
class Waits:
    """What the others waited, and the answers that they did not get."""

    #: kind -> milliseconds, one after the other.
    measured: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in _WANTED})
    failed: int = 0

    def longest(self, kind: str) -> float:
        """Milliseconds."""
        return max(self.measured[kind], default=0.0)


class _Others:
    """Those who only want to get on with it."""

    def __init__(self, session: ClientSession, target: Target, token: str) -> None:
        self._session, self._target = session, target
        self._login = {"Authorization": f"Bearer {token}"}

    async def go_on(self, waits: Waits) -> None:
        """Asks again and again until cancelled."""
        user = f"{self._target.users}/{self._target.user_id}"
        await asyncio.gather(
            self._repeat(waits, "status", lambda: self._get(f"{API}/status"), 0.01),
            self._repeat(waits, "read", lambda: self._get(user), 0.01),
            self._repeat(waits, "login", self._log_in, 0.3),
        )

    async def _repeat(self, waits: Waits, kind: str, ask: Callable[[], Awaitable[int]], pause: float) -> None:
        while True:
            begun = time.perf_counter()
            try:
                status = await ask()
            except (ClientError, OSError):
                status = 0
            except asyncio.CancelledError:
                # Who still waits at the end has waited at least so long.
                waits.measured[kind].append((time.perf_counter() - begun) * 1000)
                raise
            waits.failed += status != 200
            waits.measured[kind].append((time.perf_counter() - begun) * 1000)
            await asyncio.sleep(pause)

    async def _get(self, path: str) -> int:
        async with self._session.get(self._target.url + path, headers=self._login) as answer:
            await answer.read()
            return answer.status

    async def _log_in(self) -> int:
        body = {"user": "admin", "pass": PASSWORD}
        async with self._session.post(f"{self._target.url}{API}/login", json=body) as answer:
            await answer.read()
            return answer.status


@contextlib.contextmanager
def _attacking(name: str | None, target: Target) -> Iterator[None]:
    """The attack, in a process of its own: otherwise the others would wait for the attacker's event loop as well."""
    if name is None:
        yield
        return
    spawning = multiprocessing.get_context("spawn")
    begun = spawning.Event()
    process = spawning.Process(target=carry_out, args=(name, target, begun))
    process.start()
    try:
        if not begun.wait(30):
            raise RuntimeError(f"The attack did not begin: {name}")
        time.sleep(0.2)
        yield
        if process.exitcode is not None:
            raise RuntimeError(f"The attack ended by itself: {name}")
    finally:
        process.kill()
        process.join()


async def _measure(target: Target, token: str, seconds: float) -> Waits:
    waits = Waits()
    timeout = ClientTimeout(total=60)
    async with ClientSession(connector=TCPConnector(local_addr=(_OTHERS, 0)), timeout=timeout) as session:
        others = asyncio.create_task(_Others(session, target, token).go_on(waits))
        await asyncio.sleep(seconds)
        others.cancel()
        await asyncio.gather(others, return_exceptions=True)
    return waits


def _target(url: str, token: str, domain_id: int, user_id: int) -> Target:
    """The target, with the login of somebody who may do everything in the domain and nothing else."""
    name = f"attacker{time.monotonic_ns()}"
    role = {"name": name, "permissions": [{"permission": "DomainAdmin", "params": domain_id}]}
    role_id = call(url, token, "POST", f"{API}/system/roles", role)["ID"]
    users = f"{API}/domains/{domain_id}/users"
    call(url, token, "PATCH", f"{API}/system/domains/{domain_id}", {"maxUser": 2 * _USERS})
    user = call(url, token, "POST", users, {"username": name, "password": PASSWORD})
    call(url, token, "PATCH", f"{users}/{user['ID']}/roles", {"roles": [role_id]})
    given = call(url, token, "POST", f"{API}/login", {"user": user["username"], "pass": PASSWORD})
    return Target(url, str(given["grommunioAuthJwt"]), domain_id, user_id)


def _cell(waits: Waits, undisturbed: Waits, kind: str) -> str:
    times = waits.longest(kind) / max(undisturbed.longest(kind), 0.001)
    colour = "green" if waits.longest(kind) < _WANTED[kind] else "red"
    return f"[{colour}]{waits.longest(kind):,.0f} ms[/] ({times:,.0f}x)"


def main(
    *,
    seconds: Annotated[float, typer.Option(help="How long each attack goes on.")] = 5.0,
    only: Annotated[str, typer.Option(help="Only attacks with this in their name.")] = "",
    to_file: Annotated[Path | None, typer.Option("--json", help="Write the longest waits to this file, too.")] = None,
) -> None:
    """Attack a service and look how long the others wait."""
    # Away from a terminal the table gets the room that it needs.
    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table("Attack", *(f"{kind}" for kind in _WANTED), "not answered", title="The longest wait of somebody else")
    found: dict[str, Mapping[str, float]] = {}
    undisturbed: Waits | None = None
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "attacked.sqlite3"
        (domain,) = make_store(database, [_USERS]).domains
        for name in [None, *(name for name, _ in attacks() if only in name)]:
            with console.status(name or "none"), postroom(database) as server, on_core(CLIENT_CORE):
                token = log_in(server.url)
                target = _target(server.url, token, domain.id, domain.first_user)
                with _attacking(name, target):
                    waits = asyncio.run(_measure(target, token, seconds))
            undisturbed = undisturbed or waits
            table.add_row(name or "none", *(_cell(waits, undisturbed, kind) for kind in _WANTED), str(waits.failed))
            found[name or "none"] = {kind: waits.longest(kind) for kind in _WANTED}
    console.print(table)
    if to_file is not None:
        to_file.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
