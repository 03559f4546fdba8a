"""What the service does again and again."""

import asyncio
import logging
from collections import Counter

import pytest

from postroom.app.services.rounds import keep_doing
from postroom.storage.faults import DatabaseError, LostDatabaseError


async def test_it_goes_on_whatever_happens(caplog: pytest.LogCaptureFixture) -> None:
    """Each round is counted by how it ends; a failure is logged once a minute, one of our own with its traceback."""
    caplog.set_level(logging.WARNING)
    ends: list[Exception | bool | None] = [
        None, True, DatabaseError("no disk"), DatabaseError("no disk"), ZeroDivisionError("ours"),
        LostDatabaseError("lost"),
    ]  # fmt: skip
    counted: Counter[tuple[str, str]] = Counter()
    done = asyncio.Event()

    async def work() -> bool | None:
        if not ends:
            done.set()
            return None
        end = ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end

    def count(job: str, outcome: str) -> None:
        counted[job, outcome] += 1

    task = asyncio.create_task(keep_doing("a job", 0, work, count))
    await done.wait()
    task.cancel()
    assert counted["a job", "unavailable"] == 3
    assert counted["a job", "failed"] == 1
    assert counted["a job", "ok"] >= 2
    expected, ours = [record for record in caplog.records if "a job" in record.getMessage()]
    assert "no disk" in expected.getMessage()
    assert expected.exc_info is None
    assert ours.exc_info is not None


async def test_more_to_do_is_done_soon() -> None:
    """A round that has left something is followed by the next one at once, any other after its time."""
    rounds = 0
    waits = asyncio.Event()

    async def work() -> bool:
        nonlocal rounds
        rounds += 1
        if rounds == 3:
            waits.set()
        return rounds < 3

    task = asyncio.create_task(keep_doing("a job", 3600, work, lambda *_: None))
    await waits.wait()
    await asyncio.sleep(0)
    assert rounds == 3
    task.cancel()
    later = asyncio.create_task(keep_doing("a job", 3600, work, lambda *_: None, at_once=False))
    await asyncio.sleep(0)
    assert rounds == 3
    later.cancel()
