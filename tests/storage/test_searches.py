"""What may take its time: stopped when nobody waits for it, and in nobody else's way."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from postroom.storage import searches
from postroom.storage.database import Database
from postroom.storage.faults import CrowdedError, DatabaseError, LargeAnswerError, SlowSearchError
from postroom.storage.searches import FEW, READERS, Reader, gathered
from postroom.storage.sqlite import sqlite3
from tests.support.waiting import until

pytestmark = pytest.mark.attack

#: A statement that has no end.
ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
#: Seconds that are long enough for anything that does not hang.
PATIENCE = 20


@pytest.fixture
async def patient(tmp_path: Path) -> AsyncIterator[Database]:
    """A database whose searches have an hour."""
    database = await Database.open(str(tmp_path / "postroom.sqlite3"), search_timeout=3600)
    yield database
    await database.close()


def running(database: Database) -> int:
    """How many readers have something to do."""
    return sum(cast(Reader, reader)._turn is not None for reader in database._searches.readers)


def pending(database: Database) -> int:
    """How much the readers have to do, what waits there included."""
    return sum(reader.pending for reader in database._searches.readers)


async def end(*tasks: asyncio.Task[object]) -> None:
    """Cancels them and waits for it."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def endless(database: Database, caller: int, number: int) -> list[asyncio.Task[object]]:
    """So many searches without an end, begun by one caller."""
    return [asyncio.create_task(database.search(caller, ENDLESS)) for _ in range(number)]


async def test_a_search_ends_with_its_deadline(tmp_path: Path) -> None:
    """A statement without an end is stopped, told as such, and its reader works for the next."""
    database = await Database.open(str(tmp_path / "a.sqlite3"), search_timeout=0.2)
    for _ in range(2 * READERS):
        with pytest.raises(SlowSearchError, match=r"longer than 0\.2 seconds"):
            await database.search(1, ENDLESS)
    await until(lambda: pending(database) == 0)
    assert await database.search(1, "SELECT 7") == 7
    await database.close()


async def test_a_search_whose_caller_is_cancelled_ends(patient: Database) -> None:
    """Nothing works on for somebody who has gone."""
    tasks = endless(patient, 1, searches.SLOW)
    await until(lambda: running(patient) == searches.SLOW)
    await end(*tasks)
    await until(lambda: pending(patient) == 0)


async def test_several_statements_end_as_well(patient: Database) -> None:
    """A function of several statements is stopped in the middle, and between two of them."""

    def many(connection: sqlite3.Connection) -> None:
        while True:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            connection.execute(ENDLESS + " LIMIT 1").fetchall()

    task = asyncio.create_task(patient.read(many))
    await until(lambda: running(patient) == 1)
    await end(task)
    await until(lambda: pending(patient) == 0)


async def test_what_waits_never_begins_for_who_has_gone(patient: Database) -> None:
    """A read that is cancelled before its turn is not done at all."""
    begun: list[str] = []

    def note(_: sqlite3.Connection) -> None:
        begun.append("x")

    busy = [asyncio.create_task(patient.read(lambda c: c.execute(ENDLESS).fetchall())) for _ in range(READERS)]
    await until(lambda: running(patient) == READERS)
    waiting = [asyncio.create_task(patient.read(note)) for _ in range(50)]
    await asyncio.sleep(0)
    await end(*waiting)
    await end(*busy)
    await until(lambda: pending(patient) == 0)
    assert begun == []
    await patient.read(note)
    assert begun == ["x"]


async def test_one_caller_leaves_room_for_the_others(patient: Database) -> None:
    """Whatever number of searches one caller has, another one's is done at once, and so is everything by key."""
    tasks = endless(patient, 1, 50)
    await until(lambda: running(patient) == searches.SLOW)
    async with asyncio.timeout(PATIENCE):
        for caller in range(2, 40):
            assert await patient.search(caller, "SELECT 7") == 7
            assert await patient.fetch_by_key("SELECT 7", ()) == 7
            assert await patient.look_up("SELECT 7") == (7,)
            await patient.check()
    assert running(patient) == searches.SLOW
    await end(*tasks)


async def test_any_number_of_callers_leave_a_reader_for_what_is_quick(patient: Database) -> None:
    """With all that callers may have of slow searches, what is quick is done as ever, by whomever it is asked."""
    tasks = [task for caller in range(5) for task in endless(patient, caller, 5)]
    quick, *slow = patient._searches.readers
    await until(lambda: quick.pending == 0 and all(reader.pending for reader in slow))
    async with asyncio.timeout(PATIENCE):
        for caller in range(100, 140):
            assert await patient.search(caller, "SELECT 7") == 7
    assert all(reader.pending for reader in slow)
    # What is slow has to wait for its turn there, and leaves the quick reader again.
    tasks += endless(patient, 200, 1)
    await until(lambda: quick.pending == 1)
    await until(lambda: quick.pending == 0)
    await end(*tasks)
    await until(lambda: pending(patient) == 0)


async def test_what_is_slow_is_done_on_another_reader(patient: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that takes longer than where it begins is allowed has its answer all the same."""
    monkeypatch.setattr(searches, "QUICK", 0.0)
    assert await patient.search(1, ENDLESS.replace("FROM n)", "FROM n LIMIT 500000)")) == 500_000
    assert patient._searches._callers == {}


async def test_no_search_is_in_the_way_of_a_login(patient: Database) -> None:
    """With every reader busy for many callers, accounts are looked up as ever."""
    tasks = [task for caller in range(10) for task in endless(patient, caller, 5)]
    await until(lambda: running(patient) == READERS)
    async with asyncio.timeout(PATIENCE):
        for _ in range(20):
            assert await patient.look_up("SELECT 7") == (7,)
            assert await patient.fetch_by_key("SELECT 7", ()) == 7
            await patient.check()
            await patient.write(lambda c: c.execute("SELECT 7").close())
    await end(*tasks)


async def test_waiting_counts(tmp_path: Path) -> None:
    """Whoever waits behind their own searches is told so at the deadline, and then has nothing under way."""
    database = await Database.open(str(tmp_path / "a.sqlite3"), search_timeout=0.3)
    outcomes = await asyncio.gather(*endless(database, 1, 10), return_exceptions=True)
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds.count(SlowSearchError) == searches.SLOW
    assert kinds.count(CrowdedError) == 10 - searches.SLOW
    assert database._searches._callers == {}
    await database.close()


async def test_a_caller_has_so_many(patient: Database) -> None:
    """One search more than may wait is refused at once; when some are gone, there is room again."""
    tasks = endless(patient, 1, searches.IN_FLIGHT)
    await until(lambda: running(patient) == searches.SLOW)
    with pytest.raises(CrowdedError, match="100 searches"):
        await patient.search(1, "SELECT 7")
    await end(*tasks)
    assert patient._searches._callers == {}
    assert await patient.search(1, "SELECT 7") == 7


async def test_a_stop_hits_nobody_else(patient: Database) -> None:
    """Searches that are cancelled at any moment never take one with them that shares their reader."""
    chance = random.Random(7)  # noqa: S311 - the same moments in every run
    reader = patient._searches.readers[0]
    patient._searches.readers = [reader, reader]
    for _ in range(150):
        gone = asyncio.create_task(patient.search(1, ENDLESS))
        stays = asyncio.create_task(patient.search(2, f"{ENDLESS.replace('FROM n)', 'FROM n LIMIT 5000)')}"))
        await asyncio.sleep(chance.random() * 0.004)
        await end(gone)
        assert await stays == 5000


async def test_an_answer_has_a_size(database: Database) -> None:
    """What would be larger than a page may be is an error of its own, and the next search starts anew."""
    rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {})"
    page = f"{rows} SELECT length({gathered(None)}) FROM (SELECT printf('%.*c', 1048576, 'x') AS document FROM n)"
    for _ in range(2):
        with pytest.raises(LargeAnswerError, match="fewer entries"):
            await database.search(1, page.format(65))
        assert await database.search(1, page.format(64)) == 64 * 1048576 + 63


async def test_few_documents_are_not_measured(database: Database) -> None:
    """A page of as many as clients ask for costs nothing more."""
    assert "is_room" not in gathered(FEW)
    assert "is_room" in gathered(FEW + 1)


async def test_closing_stops_searches(tmp_path: Path) -> None:
    """The end of the service does not wait for a search, and whoever waits for it is told."""
    database = await Database.open(str(tmp_path / "a.sqlite3"), search_timeout=3600)
    tasks = [*endless(database, 1, 2), *endless(database, 2, 2)]
    await until(lambda: pending(database) == len(tasks))
    async with asyncio.timeout(PATIENCE):
        await database.close()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [DatabaseError] * len(tasks)


async def test_faults_stay_what_they_are(database: Database) -> None:
    """A wrong statement of a search is a fault of postroom, as everywhere."""
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await database.search(1, "SELECT 1 FROM nowhere")
    assert database._searches._callers == {}
