"""Signs of life, which stop when the event loop or the database hangs."""

import asyncio

from postroom.app.server.systemd import Systemd
from postroom.storage.database import Database
from postroom.storage.engine import Connection


async def keep_telling(systemd: Systemd, database: Database) -> None:
    """Tells the watchdog, as long as it wants to hear, that a read and a write come back.

    A failure is an answer too: a restart brings back no server that is away, and no room on a disk.
    """
    while systemd.interval is not None:
        systemd.tell("WATCHDOG=1")
        await asyncio.sleep(systemd.interval)
        await asyncio.gather(database.check(), database.write(_write_nothing), return_exceptions=True)


def _write_nothing(_connection: Connection) -> None:
    """A transaction without a change: it needs the writer, and no disk."""
