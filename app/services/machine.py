"""System statistics of this machine. Reading them may block, so it happens in threads, with a time limit.

A disk that hangs (a broken controller, a network block device) blocks its thread for good. Such threads do not keep the
process from ending, and a disk is not asked again before it has answered.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, tzinfo
from typing import Any, Final, NamedTuple, TypeVar

from postroom.app.clock import time_text
from postroom.app.errors import UnavailableError
from postroom.app.services.together import Together

T = TypeVar("T")
JSON = dict[str, Any]

#: Time limits in seconds: for the usage of a disk, and for all other figures, which are in memory.
DISK_PATIENCE: Final = 1.0
_PATIENCE: Final = 5.0
#: Seconds over which CPU usage is measured.
_CPU_SAMPLE: Final = 0.1
#: Read-only images, which are always full.
_IMAGES: Final = frozenset({"squashfs", "iso9660", "erofs"})


class Disk(NamedTuple):
    """A file system on a disk."""

    device: str
    mountpoint: str
    filesystem: str


class Machine:
    """Measures this machine. Concurrent callers share one measurement."""

    def __init__(self, timezone: tzinfo) -> None:
        self._timezone = timezone
        self._asked: set[str] = set()
        self._figures = Together(self._measure)

    async def figures(self) -> JSON:
        """The figures in the format of the API: sizes in bytes, shares in percent. Raises UnavailableError."""
        return await self._figures.answer()

    async def close(self) -> None:
        """Cancels a measurement in flight."""
        await self._figures.close()

    async def _measure(self) -> JSON:
        try:
            figures, disks = await _in_thread(_PATIENCE, lambda: (_figures(self._timezone), list_disks()))
        except TimeoutError:
            raise UnavailableError("The system statistics are not available at the moment; try again later") from None
        used = await asyncio.gather(*(self._usage(disk) for disk in disks))
        return {"disks": [disk for disk in used if disk is not None], **figures}

    async def _usage(self, disk: Disk) -> JSON | None:
        """A disk with its usage; None if it cannot be read or has not answered yet."""
        if disk.mountpoint in self._asked:
            return None
        self._asked.add(disk.mountpoint)
        try:
            usage = await _in_thread(
                DISK_PATIENCE, lambda: usage_of(disk.mountpoint), lambda: self._asked.discard(disk.mountpoint)
            )
        except OSError:  # includes TimeoutError
            return None
        return {**usage, **disk._asdict()}


async def _in_thread(seconds: float, function: Callable[[], T], ended: Callable[[], None] = lambda: None) -> T:
    """The result of a function that may block. Raises TimeoutError, and any exception of the function.

    Not asyncio.to_thread: it has few threads, and the process waits for them before it ends.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        ended()
        if outcome.done():  # timed out or cancelled
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = function()
        except Exception as raised:  # noqa: BLE001 - re-raised by the waiting coroutine
            error = raised
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="postroom-machine", daemon=True).start()
    async with asyncio.timeout(seconds):
        return await outcome


def list_disks() -> list[Disk]:
    """All file systems except pseudo ones and images. Each device occurs once, at its shortest mount point."""
    import psutil

    found: dict[str, Disk] = {}
    for each in sorted(psutil.disk_partitions(), key=lambda each: len(each.mountpoint)):
        if each.fstype not in _IMAGES:
            found.setdefault(each.device, Disk(each.device, each.mountpoint, each.fstype))
    return list(found.values())


def usage_of(mountpoint: str) -> JSON:
    """The usage of a file system. Blocks while its disk hangs."""
    import psutil

    usage = psutil.disk_usage(mountpoint)
    return {"percent": usage.percent, "total": usage.total, "used": usage.used, "free": usage.free}


def _figures(timezone: tzinfo) -> JSON:
    # Not at the top: only the dashboard needs it.
    import psutil

    cpu = psutil.cpu_times_percent(_CPU_SAMPLE)
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    booted = datetime.fromtimestamp(psutil.boot_time(), timezone)
    return {
        "load": _load(),
        "cpuPercent": {
            "user": cpu.user,
            "system": cpu.system,
            "io": cpu.iowait,
            "interrupt": round(cpu.irq + cpu.softirq, 1),
            "steal": cpu.steal,
            "idle": cpu.idle,
        },
        "memory": {
            "percent": memory.percent,
            "total": memory.total,
            "free": memory.free,
            "used": memory.used,
            "buffer": memory.buffers,
            "cache": memory.cached,
            "available": memory.available,
        },
        "swap": {"percent": swap.percent, "total": swap.total, "free": swap.free, "used": swap.used},
        "booted": time_text(booted),
    }


def _load() -> list[float]:
    try:
        return [round(load, 2) for load in os.getloadavg()]
    except OSError:
        return []
