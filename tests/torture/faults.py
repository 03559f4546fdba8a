"""What can happen to a running service besides its death: each is done under load, and undone."""

import asyncio
import errno
import resource
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.support.postgresql import PostgreSQL
from tests.support.service import ADMIN_PASSWORD
from tests.support.waiting import until
from tests.torture.ground import LIMIT, Ground, Outcome
from tests.torture.process import ProcessError
from tests.torture.shim import ALL_FILES, Calls, Files

_STORE: Final = Files.DATABASE | Files.WAL
_ALL_WRITES: Final = Calls.WRITE | Calls.SYNC | Calls.RESIZE
_DAY: Final = 86_400
_WORKERS: Final = 3
#: Clients that hold connections until the service has no descriptor left.
_HOLDERS: Final = 200


@dataclass(frozen=True)
class Extent:
    """How much is done: how many calls of each kind fail in turn, and for how many seconds a process stands still."""

    calls: int
    pause: float


async def full_disk(ground: Ground, outcome: Outcome, extent: Extent) -> None:
    """No room from the k-th call on, for k = 1, 2, ... and then there is room again."""
    for skip in range(extent.calls):
        with ground.shim.failing(_ALL_WRITES & ~Calls.SYNC, _STORE, errno.ENOSPC, skip):
            await ground.write(lambda: ground.shim.failed > 2)
        await ground.recovers(outcome)


async def _failing(ground: Ground, outcome: Outcome, extent: Extent, calls: Calls) -> None:
    for skip in range(extent.calls):
        with ground.shim.failing(calls, _STORE, errno.EIO, skip, 1):
            await ground.write(lambda: ground.shim.failed > 0)
        await ground.recovers(outcome)


async def failed_write(ground: Ground, outcome: Outcome, extent: Extent) -> None:
    """The k-th write fails."""
    await _failing(ground, outcome, extent, Calls.WRITE)


async def failed_sync(ground: Ground, outcome: Outcome, extent: Extent) -> None:
    """The k-th sync fails: what it was for is not said to be stored."""
    await _failing(ground, outcome, extent, Calls.SYNC)


async def failed_read(ground: Ground, outcome: Outcome, extent: Extent) -> None:
    """The k-th read fails."""
    await _failing(ground, outcome, extent, Calls.READ)


async def failed_checkpoint(ground: Ground, outcome: Outcome, extent: Extent) -> None:
    """The k-th write or sync of the database file fails, which only a checkpoint writes."""
    for skip in range(max(2, extent.calls // 10)):
        with ground.shim.failing(Calls.WRITE | Calls.SYNC, Files.DATABASE, errno.EIO, skip, 1):
            await ground.write(lambda: ground.shim.failed > 0)
        await ground.recovers(outcome)


async def failed_commit_and_death(ground: Ground, outcome: Outcome, extent: Extent) -> None:
    """A write or sync of the log fails, and the process is killed before it writes again: no answer was a lie."""
    for skip in range(extent.calls):
        with ground.shim.failing(Calls.SYNC if skip % 2 else Calls.WRITE, Files.WAL, errno.EIO, skip // 2):
            await ground.write(lambda: ground.shim.failed > 0)
            await asyncio.to_thread(ground.process.kill)
        await asyncio.to_thread(ground.process.start)
        await ground.recovers(outcome)


async def read_only(ground: Ground, outcome: Outcome, extent: Extent) -> None:
    """The file system becomes read-only, as after an error, and is made writable again."""
    for _ in range(max(2, extent.calls // 10)):
        with ground.shim.failing(Calls.WRITE | Calls.RESIZE | Calls.NAMES, ALL_FILES, errno.EROFS):
            await ground.write(lambda: ground.shim.failed > 20)
        await ground.recovers(outcome)


async def no_descriptors(ground: Ground, outcome: Outcome, extent: Extent) -> None:
    """The process may open nothing more, and clients hold all connections that it has accepted."""
    (process, *_) = ground.process.everyone
    limits = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (process.num_fds() + 8, limits[1]))
    async with AsyncExitStack() as stack:
        for _ in range(_HOLDERS):
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", ground.process.port)
                stack.callback(writer.close)
        await ground.write_for(0.5)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, limits)
    await ground.recovers(outcome)


async def clock(ground: Ground, outcome: Outcome, extent: Extent) -> None:
    """The clock jumps a year ahead, a day back, and to where it was: sessions may end, and a new login works."""
    for seconds in (365 * _DAY, 364 * _DAY, -_DAY, 0):
        ground.shim.move_clock(seconds)
        await _log_in_again(ground)
        await ground.write_for(0.3)
        await ground.recovers(outcome)


async def _log_in_again(ground: Ground) -> None:
    service = ground.load.service
    status, _ = await service.call(ground.process.url, "GET", "/profile")
    assert status in (200, 401), status
    _, login = await service.call(ground.process.url, "POST", "/login", {"user": "admin", "pass": ADMIN_PASSWORD})
    service.headers = {"Authorization": f"Bearer {login['grommunioAuthJwt']}"}


async def suspended(ground: Ground, outcome: Outcome, extent: Extent) -> None:
    """The process stands still; whoever has asked meanwhile gets an answer afterwards."""
    await _standing_still(ground, outcome, extent, 0)


async def suspended_worker(ground: Ground, outcome: Outcome, extent: Extent) -> None:
    """One of several workers stands still; the others go on, or say that they cannot write."""
    await _standing_still(ground, outcome, extent, 1)


async def _standing_still(ground: Ground, outcome: Outcome, extent: Extent, which: int) -> None:
    process = ground.process.everyone[which]
    running = asyncio.create_task(ground.load.run())
    await asyncio.sleep(0.2)
    process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(extent.pause)
    process.send_signal(signal.SIGCONT)
    await asyncio.sleep(0.2)
    ground.load.stop()
    await running
    await ground.recovers(outcome)


async def unreadable(ground: Ground, outcome: Outcome, extent: Extent) -> None:
    """A start without the right to read the key file or the database is refused with one line; then it succeeds."""
    for files in (Files.KEYS, _STORE):
        await asyncio.to_thread(ground.process.stop)
        with ground.shim.failing(Calls.OPEN, files, errno.EACCES):
            try:
                await asyncio.to_thread(ground.process.start)
                outcome.faults.append(f"{outcome.name}: it has started without {files!r}")
            except ProcessError as error:
                if len(str(error).splitlines()) != 1 or not str(error).startswith("postroom: "):
                    outcome.faults.append(f"{outcome.name}: {error}")
        await asyncio.to_thread(ground.process.start)
        await ground.recovers(outcome)


async def unreadable_for_a_worker(ground: Ground, outcome: Outcome, extent: Extent) -> None:
    """While the key file cannot be read, no worker takes the place of one that dies; then one does."""
    running = asyncio.create_task(ground.load.run())
    with ground.shim.failing(Calls.OPEN, Files.KEYS, errno.EACCES):
        ground.process.everyone[1].kill()
        await until(lambda: ground.shim.failed > 1, LIMIT)
    await until(lambda: len(ground.process.everyone) == 1 + _WORKERS, LIMIT)
    ground.load.stop()
    await running
    await ground.recovers(outcome)


async def suspended_server(ground: Ground, outcome: Outcome, extent: Extent, server: PostgreSQL) -> None:
    """The PostgreSQL server stands still: a 503 after some seconds, and it goes on with it."""
    running = asyncio.create_task(ground.load.run())
    await asyncio.sleep(0.2)
    server.pause()
    await asyncio.sleep(extent.pause)
    server.resume()
    await asyncio.sleep(0.5)
    ground.load.stop()
    await running
    await ground.recovers(outcome)


Fault = Callable[[Ground, Outcome, Extent], Awaitable[None]]
#: What is done to a service of so many workers.
ALONE: Final[dict[str, Fault]] = {
    "the disk is full": full_disk,
    "a write fails": failed_write,
    "a sync fails": failed_sync,
    "a read fails": failed_read,
    "a checkpoint fails": failed_checkpoint,
    "a commit fails, then the process is killed": failed_commit_and_death,
    "the file system is read-only": read_only,
    "no descriptor is left": no_descriptors,
    "the clock jumps": clock,
    "the process stands still": suspended,
    "files cannot be read at the start": unreadable,
}
WITH_WORKERS: Final[dict[str, Fault]] = {
    "a worker stands still": suspended_worker,
    "a worker dies while the key cannot be read": unreadable_for_a_worker,
}
ON_POSTGRESQL: Final = "the PostgreSQL server stands still"


async def run(extent: Extent, seed: int, only: str, say: Callable[[str], None]) -> list[Outcome]:
    """Every fault whose name contains `only`."""
    outcomes = []
    for faults, workers in ((ALONE, 1), (WITH_WORKERS, _WORKERS)):
        for name, fault in faults.items():
            if only in name:
                outcomes.append(await _try(name, fault, workers, extent, seed))
                say(f"{name}: {outcomes[-1].injected} times, recovered {outcomes[-1].recovered}")
    if only in ON_POSTGRESQL:
        with PostgreSQL() as server:

            async def fault(ground: Ground, outcome: Outcome, extent: Extent) -> None:
                await suspended_server(ground, outcome, extent, server)

            outcomes.append(await _try(ON_POSTGRESQL, fault, 1, extent, seed, server))
        say(f"{ON_POSTGRESQL}: {outcomes[-1].injected} times, recovered {outcomes[-1].recovered}")
    return outcomes


async def _try(
    name: str, fault: Fault, workers: int, extent: Extent, seed: int, server: PostgreSQL | None = None
) -> Outcome:
    outcome = Outcome(name)
    with TemporaryDirectory(prefix="torture-") as place:
        folder = Path(place) / "store"
        folder.mkdir()
        try:
            async with Ground.prepared(folder, seed, workers=workers, server=server) as ground:
                await fault(ground, outcome, extent)
        except Exception as error:  # noqa: BLE001 - the other faults are tried all the same
            outcome.faults.append(f"{name}: {error!r}")
    return outcome
