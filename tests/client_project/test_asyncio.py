"""The fixtures beside pytest-asyncio, in either mode."""

import asyncio

import pytest

from app import Directory
from postroom.testing import BlockingServer, running


@pytest.mark.asyncio
async def test_the_server_is_on_another_thread(postroom: BlockingServer) -> None:
    """So a coroutine may wait for it."""
    users = await asyncio.to_thread(Directory(postroom.url, postroom.admin.token).users)
    assert len(users) == 2
    postroom.admin.delete("/domains/1/users/1")


@pytest.mark.asyncio
async def test_a_server_in_the_same_loop() -> None:
    """Without a fixture."""
    async with running({"users": ["anna"]}) as server:
        assert (await server.admin.get("/domains/1/users"))["count"] == 1
