"""The fixtures beside anyio."""

import pytest

from postroom.testing import BlockingServer, running


@pytest.fixture
def anyio_backend() -> str:
    """The event loop that aiohttp knows."""
    return "asyncio"


@pytest.mark.anyio
async def test_both_kinds(postroom: BlockingServer) -> None:
    """The fixture, and a server in the loop of the test."""
    assert postroom.admin.get("/domains/1/users")["count"] == 2
    async with running({"users": ["anna"]}) as server:
        assert (await server.admin.get("/domains/1/users"))["count"] == 1
