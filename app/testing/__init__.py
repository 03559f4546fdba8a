"""A real postroom server for tests of its clients, started in milliseconds.

`docs/testing.md` has recipes. Everything public is here:

    async with running(seed={"users": ["anna"]}) as server:
        users = await server.admin.get("/domains/1/users")
"""

from postroom.testing.blocking import BlockingClient, BlockingServer, running_in_thread
from postroom.testing.client import Answer, Client, RefusedError
from postroom.testing.errors import HarnessError
from postroom.testing.passwords import PASSWORD
from postroom.testing.server import Server, running

__all__ = [
    "PASSWORD",
    "Answer",
    "BlockingClient",
    "BlockingServer",
    "Client",
    "HarnessError",
    "RefusedError",
    "Server",
    "running",
    "running_in_thread",
]
