"""Throws input at a service that nobody would write: `python -m tests.fuzz`.

The exit code is 1 when there was an error of the server, no answer, an answer of another shape, or a line in the log
that blames the server. A case follows from the seed and its number: `--first 4711 --cases 1` sends one again.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from aiohttp import ClientSession
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.bench.servers import CLIENT_CORE, PASSWORD, Server, on_core, postroom
from tests.fuzz.drive import Findings, drive, watch
from tests.fuzz.schemas import load_anything

#: Of the cases, how many are for schemas alone.
_SCHEMAS = 0.25
#: Seconds after which logins and people are looked after.
_UPKEEP = 0.5


class _World:
    """What the cases aim at: it is put right again and again, as they take it apart."""

    def __init__(self, url: str) -> None:
        self._api = f"{url}/api/v1"
        self.token = ""

    async def keep(self, session: ClientSession) -> None:
        """Sees to a login that counts, a domain 1 and people in it."""
        async with session.get(f"{self._api}/profile", headers=self._login()) as answer:
            if answer.status == 401:
                await self._log_in(session)
        await self._post(session, "/system/domains", {"domainname": "example.org", "maxUser": 100_000})
        await self._patch(session, "/system/domains/1", {"domainStatus": 0, "maxUser": 100_000})
        for name in ("anna", "bert", "carla"):
            await self._post(session, "/domains/1/users", {"username": name, "status": 4})

    async def _log_in(self, session: ClientSession) -> None:
        form = {"user": "admin", "pass": PASSWORD}
        async with session.post(f"{self._api}/login", json=form) as answer:
            self.token = (await answer.json()).get("grommunioAuthJwt", self.token)

    def _login(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def _post(self, session: ClientSession, path: str, body: Any) -> None:
        async with session.post(self._api + path, json=body, headers=self._login()) as answer:
            await answer.read()

    async def _patch(self, session: ClientSession, path: str, body: Any) -> None:
        async with session.patch(self._api + path, json=body, headers=self._login()) as answer:
            await answer.read()


async def _throw(server: Server, seed: int, numbers: range, step: Callable[[], None]) -> Findings:
    findings, world = Findings(), _World(server.url)
    async with ClientSession() as session:
        await world.keep(session)

        async def upkeep() -> None:
            while True:
                await asyncio.sleep(_UPKEEP)
                await world.keep(session)

        beside = [asyncio.create_task(upkeep()), asyncio.create_task(watch(server.url, findings))]
        try:
            await drive(server.url, lambda: world.token, seed, numbers, findings, step)
        finally:
            for task in beside:
                task.cancel()
            ended = await asyncio.gather(*beside, return_exceptions=True)
    findings.failures += [repr(error) for error in ended if not isinstance(error, asyncio.CancelledError)]
    return findings


def _blamed(log: Path) -> list[str]:
    """Lines of the server's log that say that it is its fault."""
    lines = log.read_text(errors="replace").splitlines()
    return [
        f"log: {line[:300]}" for line in lines if "Traceback" in line or " ERROR " in line or line.startswith("ERROR")
    ]


def _show(console: Console, findings: Findings, seconds: float, loaded: int) -> None:
    columns = ["2xx", "3xx", "4xx", "5xx", "none"]
    table = Table(title=f"{sum(findings.answers.values()) + loaded:,} cases in {seconds:.0f} s")
    table.add_column("Kind")
    for column in columns:
        table.add_column(column, justify="right")
    for kind in sorted({kind for kind, _ in findings.answers}):
        table.add_row(kind, *(f"{findings.answers[kind, column]:,}" for column in columns))
    table.add_row("schemas alone", *[""] * 4, f"{loaded:,}")
    console.print(table)
    console.print(
        "[dim]5xx: 503 where a directory would be asked, and there is none; 505 for other versions of HTTP.[/dim]"
    )
    waits = sorted(findings.waits)
    if waits:
        console.print(
            f"Somebody else waited {statistics.median(waits) * 1000:.1f} ms in the middle, "
            f"{waits[int(len(waits) * 0.99)] * 1000:.0f} ms at the 99th percentile, {waits[-1] * 1000:.0f} ms at most."
        )


def main(
    *,
    cases: Annotated[int, typer.Option(help="How many.", min=1)] = 100_000,
    seed: Annotated[int, typer.Option(help="Another one makes other cases.")] = 1,
    first: Annotated[int, typer.Option(help="Number of the first case.")] = 0,
) -> None:
    """Throw input at a service that nobody would write, and count what it does."""
    console, begun = Console(width=None if sys.stdout.isatty() else 120), time.monotonic()
    loaded = int(cases * _SCHEMAS) if cases > 100 else 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with tempfile.TemporaryDirectory() as folder, Progress(*columns, console=console) as progress:
        task = progress.add_task("Schemas", total=cases)

        def step() -> None:
            progress.advance(task)

        found = list(load_anything(seed, loaded, step))
        progress.update(task, description="Requests")
        database = Path(folder) / "fuzz.sqlite3"
        with postroom(database) as server, on_core(CLIENT_CORE):
            findings = asyncio.run(_throw(server, seed, range(first, first + cases - loaded), step))
        failures = [*found, *findings.failures, *_blamed(database.with_name("postroom.log"))]
    _show(console, findings, time.monotonic() - begun, loaded)
    for line in failures[:50]:
        console.print(line, markup=False, style="red", soft_wrap=True)
    if not failures:
        console.print("No error of the server, no case without an answer, nothing of another shape.")
    elif len(failures) > 50:
        console.print(f"... and {len(failures) - 50} more", style="red")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    typer.run(main)
