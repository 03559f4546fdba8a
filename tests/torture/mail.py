"""Mail servers ask all the time, while everything changes and whoever answers is killed: no answer may be wrong.

The sockets are kept here, as systemd would keep them. What is asked about is known: an acknowledged change has to be in
each answer to a question that is asked after it.
"""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout

from postroom.app.mail.vacation import NOTHING, script_id
from postroom.app.server.mail_sockets import NAMES
from tests.app.test_workers import exists, workers_of
from tests.support.mail_sockets import PASSWORD, Admin, activated
from tests.support.waiting import until

WORKERS: Final = 2
#: Whoever asks waits so long, as Postfix does.
_PATIENCE: Final = 100.0
_ASKERS: Final = 20
_CHANGERS: Final = 10
#: Of so many questions, one is a login, which costs a hash.
_LOGINS: Final = 100

_Connections = dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter]]


@dataclass(frozen=True)
class Extent:
    """How much is done: seconds in all, kills, how long the service is away once, and rates a second."""

    seconds: float = 40.0
    kills: int = 6
    away: float = 5.0
    questions: float = 200.0
    changes: float = 40.0


@dataclass
class Found:
    """What a run has come to."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    #: Seconds that answers took.
    waits: list[float] = field(default_factory=list)

    @property
    def figures(self) -> dict[str, int]:
        """What a run amounts to; times are in milliseconds."""
        waits = sorted(self.waits) or [0.0]
        times = {"median": waits[len(waits) // 2], "p99": waits[int(len(waits) * 0.99)], "longest": waits[-1]}
        return {
            "deferred": 0,
            **self.outcomes,
            **{f"{name} wait, ms": int(each * 1000) for name, each in times.items()},
        }


class _Person:
    """Somebody with an alias that comes and goes. `has_alias` is None while nobody knows."""

    def __init__(self, number: int, path: str) -> None:
        self.name = f"user{number}@example.org"
        self.alias = f"alias{number}@example.org"
        self.path = path
        self.has_alias: bool | None = False
        #: Rises with each change that begins.
        self.version = 0


class _Run:
    def __init__(self, extent: Extent, folder: Path, random: Random, found: Found) -> None:
        self.extent = extent
        self.folder = folder
        self.random = random
        self.found = found
        self.people: list[_Person] = []
        self.stop = asyncio.Event()

    async def ask_all_the_time(self) -> None:
        """One asker: a question, its answer, the next."""
        connections: _Connections = {}
        while not self.stop.is_set():
            await asyncio.sleep(self.random.expovariate(self.extent.questions / _ASKERS))
            person = self.random.choice(self.people)
            version = person.version
            place, question, right = self._question(person)
            begun = time.monotonic()
            answer = await self._answer(connections, place, question)
            self.found.waits.append(time.monotonic() - begun)
            if answer is None or answer.startswith(("TEMP", "temporary", "F")):
                self.found.outcomes["deferred"] += 1
            elif right is None or version != person.version:
                self.found.outcomes["changed meanwhile"] += 1
            elif answer == right:
                self.found.outcomes["right"] += 1
            else:
                self.found.faults.append(f"{question!r} was answered {answer!r}, not {right!r}")
        for _, writer in connections.values():
            writer.transport.abort()

    def _question(self, person: _Person) -> tuple[str, bytes, str | None]:
        """(socket, question, the right answer; None: nobody knows)."""
        kind = self.random.random()
        if kind < 1 / _LOGINS:
            return "dovecot", f"login\t{person.name}\t{PASSWORD}\timap\t192.0.2.1\n".encode(), f"ok\t{person.name}"
        if kind < 0.05:
            return "dict", f"Lpriv/sieve/name/oof\t{person.name}\n".encode(), f"O{script_id(NOTHING)}"
        if kind < 0.4:
            return "postfix", _netstring(f"mailboxes {person.name}"), f"OK {person.name}"
        if kind < 0.5:
            return "postfix", _netstring(f"senders {person.name}"), f"OK {person.name}"
        if kind < 0.6:
            return "postfix", _netstring("domains example.org"), "OK example.org"
        right = None if person.has_alias is None else f"OK {person.name}" if person.has_alias else "NOTFOUND "
        return "postfix", _netstring(f"aliases {person.alias}"), right

    async def _answer(self, connections: _Connections, place: str, question: bytes) -> str | None:
        """The answer; a connection that ends is made anew, as Postfix does. None: there was none."""
        for _ in range(3):
            try:
                async with asyncio.timeout(_PATIENCE):
                    if place not in connections:
                        connections[place] = await asyncio.open_unix_connection(self.folder / place)
                    reader, writer = connections[place]
                    writer.write(question)
                    if place != "postfix":
                        if line := await reader.readline():
                            return line.decode().rstrip("\n")
                    else:
                        length = int((await reader.readuntil(b":"))[:-1])
                        return (await reader.readexactly(length + 1))[:-1].decode()
            except (OSError, asyncio.IncompleteReadError):
                pass
            self.found.outcomes["connections lost"] += 1
            if place in connections:
                connections.pop(place)[1].transport.abort()
        return None

    async def change_all_the_time(self, session: ClientSession, people: list[_Person]) -> None:
        """One changer, which alone changes these people."""
        while not self.stop.is_set():
            await asyncio.sleep(self.random.expovariate(self.extent.changes / _CHANGERS))
            person = self.random.choice(people)
            wanted = not person.has_alias
            person.version += 1
            person.has_alias = None
            body = {"aliases": [person.alias] if wanted else []}
            with contextlib.suppress(ClientError, TimeoutError):
                async with session.patch(f"/api/v1{person.path}", json=body) as response:
                    if response.status == 200:
                        self.found.outcomes["changes"] += 1
                        person.version += 1
                        person.has_alias = wanted


def _netstring(text: str) -> bytes:
    return b"%d:%b," % (len(text), text.encode())


async def run(extent: Extent, seed: int, say: Callable[[str], object]) -> Found:
    """Asks, changes and kills, for as long as the extent says."""
    found, random = Found(), Random(seed)  # noqa: S311 - to be repeated
    with TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        listening = {each: stack.enter_context(socket.socket(socket.AF_UNIX)) for each in NAMES}
        for each, opened in listening.items():
            opened.bind(str(folder / each))
        listening["http"] = stack.enter_context(socket.socket(socket.AF_INET))
        listening["http"].bind(("127.0.0.1", 0))
        for opened in listening.values():
            opened.listen(1000)
        run = _Run(extent, folder, random, found)
        service = _Service(folder, listening, found)
        try:
            await service.start()
            await _work(run, service, say)
        finally:
            await service.end(signal.SIGKILL)
    return found


class _Service:
    """The service, which can be killed in parts or as a whole, and started again."""

    def __init__(self, folder: Path, listening: dict[str, socket.socket], found: Found) -> None:
        self._folder = folder
        self._listening = listening
        self._found = found
        self._stack = contextlib.ExitStack()
        self.url = f"http://127.0.0.1:{listening['http'].getsockname()[1]}"

    async def start(self) -> None:
        """Starts it."""
        context = activated(self._folder, self._listening, "--workers", str(WORKERS))
        # Starting reads lines from a pipe, which must not hold up those who ask.
        self.running = await asyncio.to_thread(self._stack.enter_context, context)

    async def end(self, number: signal.Signals) -> None:
        """Ends it by a signal to its first process, and waits until all are gone."""
        left = workers_of(self.running) if self.running.process.poll() is None else []
        self.running.process.send_signal(number)
        await asyncio.to_thread(self.running.process.wait)
        await until(lambda: not any(exists(pid) for pid in left), 60)
        self._stack.close()

    def kill_worker(self, random: Random) -> None:
        """Kills one of its workers, if one runs."""
        if workers := workers_of(self.running):
            os.kill(random.choice(workers), signal.SIGKILL)


async def _work(run: _Run, service: _Service, say: Callable[[str], object]) -> None:
    async with Admin(service.running) as admin:
        domain = await admin.domain()
        for number in range(_CHANGERS * 3):
            run.people.append(_Person(number, await admin.user(domain, f"user{number}", pop3_imap=True)))
        headers = dict(admin.headers)
    # A change that nobody answers within this time is taken for unknown.
    async with ClientSession(service.url, headers=headers, timeout=ClientTimeout(30)) as session:
        work = [asyncio.create_task(run.ask_all_the_time()) for _ in range(_ASKERS)]
        shares = [run.people[number::_CHANGERS] for number in range(_CHANGERS)]
        work += [asyncio.create_task(run.change_all_the_time(session, share)) for share in shares]
        await _disturb(run, service, say)
        run.stop.set()
        await asyncio.gather(*work)


async def _disturb(run: _Run, service: _Service, say: Callable[[str], object]) -> None:
    """Kills at random moments, once all of it; stops for an upgrade, and once for longer."""
    extent, found = run.extent, run.found

    async def kill() -> None:
        service.kill_worker(run.random)

    async def kill_all() -> None:
        await service.end(signal.SIGKILL)
        await service.start()

    async def upgrade() -> None:
        await service.end(signal.SIGTERM)
        await service.start()

    async def be_away() -> None:
        await service.end(signal.SIGTERM)
        await asyncio.sleep(extent.away)
        await service.start()

    steps: list[tuple[str, Callable[[], Awaitable[None]]]] = [("workers killed", kill)] * max(extent.kills - 1, 0)
    steps += [("services killed", kill_all), ("upgrades", upgrade), ("times away", be_away)]
    run.random.shuffle(steps)
    pause = max(extent.seconds - extent.away, 0) / (len(steps) + 1)
    for name, step in steps:
        await asyncio.sleep(pause * run.random.uniform(0.5, 1.5))
        say(f"{name}: {found.outcomes['right']} right so far, {found.outcomes['deferred']} deferred")
        await step()
        found.outcomes[name] += 1
    await asyncio.sleep(pause)
