"""Turns: fair by source, bounded, and none for who has gone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from postroom.app.limits.turns import Turns


class FullError(Exception):
    """Too many wait."""


def make(at_once: int = 1, most: int = 100, most_each: int = 100) -> Turns:
    """Turns that refuse with FullError."""
    return Turns(at_once, FullError, most=most, most_each=most_each)


class Crowd:
    """Those who take turns, in the order in which they had them."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.had: list[str] = []
        self.busy = self.busiest = 0

    async def take(self, source: str) -> None:
        """One turn that lasts a few steps of the loop."""
        async with self.turns.turn(source):
            self.had.append(source)
            self.busy += 1
            self.busiest = max(self.busy, self.busiest)
            for _ in range(3):
                await asyncio.sleep(0)
            self.busy -= 1

    async def come(self, *sources: str) -> list[asyncio.Task[None]]:
        """Each starts to wait, in this order."""
        tasks = [asyncio.create_task(self.take(source)) for source in sources]
        await asyncio.sleep(0)
        return tasks


@asynccontextmanager
async def occupied(turns: Turns) -> AsyncIterator[None]:
    """Somebody has the only turn for as long as the block lasts."""
    async with turns.turn("first"):
        yield


async def test_sources_have_their_turns_one_after_the_other() -> None:
    """One who comes behind a thousand of another source waits for one of them."""
    crowd = Crowd(make(most=2000, most_each=1000))
    async with occupied(crowd.turns):
        tasks = await crowd.come(*["many"] * 1000, "one", "two", "two")
    await asyncio.gather(*tasks)
    assert crowd.had[:6] == ["many", "one", "two", "many", "two", "many"]
    assert len(crowd.had) == 1003
    assert crowd.busiest == 1


async def test_so_many_at_once() -> None:
    """As many work at a time as may, and all get their turn."""
    crowd = Crowd(make(at_once=3))
    await asyncio.gather(*await crowd.come(*"abcabcabcabc"))
    assert crowd.busiest == 3
    assert len(crowd.had) == 12


async def test_a_source_has_so_many_waiting() -> None:
    """Beyond its bound a source is refused at once, and others are not."""
    crowd = Crowd(make(most_each=2))
    async with occupied(crowd.turns):
        tasks = await crowd.come("a", "a", "a", "b")
        outcome = await asyncio.gather(tasks[2], return_exceptions=True)
        assert isinstance(outcome[0], FullError)
    await asyncio.gather(*tasks[:2], tasks[3])
    assert crowd.had == ["a", "b", "a"]


async def test_the_greedy_make_room() -> None:
    """With all places taken a newcomer gets that of the last of the source with most; among equals they are refused."""
    crowd = Crowd(make(most=4))
    async with occupied(crowd.turns):
        tasks = await crowd.come("a", "a", "a", "a", "b", "c", "d", "e")
        outcomes = await asyncio.gather(*tasks[1:4], tasks[7], return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [FullError] * 4
    await asyncio.gather(tasks[0], *tasks[4:7])
    assert crowd.had == ["a", "b", "c", "d"]


async def test_who_has_gone_gets_no_turn() -> None:
    """Cancelled while they wait, they never begin, and leave their places to others."""
    crowd = Crowd(make(most_each=3))
    async with occupied(crowd.turns):
        tasks = await crowd.come("gone", "gone", "gone")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        tasks = await crowd.come("here", "gone")
    await asyncio.gather(*tasks)
    assert crowd.had == ["here", "gone"]


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_turn_that_comes_as_its_owner_goes(moment: str) -> None:
    """Cancelled at the very moment of their turn, either way round, the turn goes on to the next."""
    crowd = Crowd(make())
    async with occupied(crowd.turns):
        gone, here = await crowd.come("gone", "here")
        if moment == "before":
            gone.cancel()
    if moment == "after":
        gone.cancel()
    await asyncio.gather(gone, here, return_exceptions=True)
    assert crowd.had == ["here"]
    await crowd.take("later")
    assert crowd.had == ["here", "later"]


async def test_a_turn_ends_whatever_happens() -> None:
    """Who fails or is cancelled amid their turn leaves it to the next."""
    turns = make()
    with pytest.raises(ValueError, match="fails"):
        async with turns.turn("a"):
            raise ValueError("fails")
    stuck = asyncio.create_task(Crowd(turns).take("b"))
    await asyncio.sleep(0)
    stuck.cancel()
    async with asyncio.timeout(5), turns.turn("c"):
        pass


async def test_nothing_is_left() -> None:
    """When everybody is done, nothing is remembered of any source."""
    crowd = Crowd(make(most=10))
    tasks = await crowd.come(*(str(number) for number in range(50)))
    for task in tasks[::3]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (crowd.turns._waiting, crowd.turns._count, crowd.turns._free) == ({}, 0, 1)
