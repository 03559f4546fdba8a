"""A real postroom server for tests of its clients, started in milliseconds.

`docs/testing.md` has recipes. Everything public is here:

    async with running({"users": ["anna"]}) as server:
        users = await server.admin.get("/domains/1/users")
"""

from postroom.testing.blocking import BlockingClient, BlockingServer, running_in_thread
from postroom.testing.client import Answer, Client, RefusedError
from postroom.testing.clock import Moment, MovableClock
from postroom.testing.directory import MemoryDirectory
from postroom.testing.errors import HarnessError, SeedError
from postroom.testing.faults import Fault, Faults
from postroom.testing.journal import Journal, Request
from postroom.testing.passwords import PASSWORD
from postroom.testing.seeds import Seed
from postroom.testing.server import Server, running

__all__ = [
    "PASSWORD",
    "Answer",
    "BlockingClient",
    "BlockingServer",
    "Client",
    "Fault",
    "Faults",
    "HarnessError",
    "Journal",
    "MemoryDirectory",
    "Moment",
    "MovableClock",
    "RefusedError",
    "Request",
    "Seed",
    "SeedError",
    "Server",
    "running",
    "running_in_thread",
]
