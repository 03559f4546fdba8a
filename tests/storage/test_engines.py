"""What an engine has to do, whichever it is: each test runs on both."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from postroom.storage import auth, domains, tasks, users
from postroom.storage.database import Database
from postroom.storage.engine import Connection
from postroom.storage.faults import DatabaseError, IntegrityError, SlowSearchError
from postroom.storage.integrity import RULES, rule_of
from postroom.storage.lanes import BATCH
from postroom.storage.writing import savepoint
from tests.support.inside import is_postgresql
from tests.support.waiting import until

Open = Callable[..., Any]
#: A statement that takes longer than any test waits.
ENDLESS = {
    "sqlite": "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "postgresql": "SELECT pg_sleep(60)",
}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def engine(request: pytest.FixtureRequest) -> str:
    """The name of the engine."""
    return str(request.param)


@pytest.fixture
def open_database(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the same database, as often as it is called; as a process of its own would."""
    name = str(tmp_path / "store.sqlite3") if engine == "sqlite" else request.getfixturevalue("postgresql_url")

    @asynccontextmanager
    async def opened(**options: Any) -> AsyncIterator[Database]:
        database = await Database.open(name, key_file=str(tmp_path / "keys"), **options)
        try:
            yield database
        finally:
            await database.close()

    return opened


@pytest.fixture
async def database(open_database: Open) -> AsyncIterator[Database]:
    """One that is open."""
    async with open_database() as opened:
        yield opened


def add_org(connection: Connection, name: str) -> int:
    """The ID of a new organisation."""
    row = connection.execute("INSERT INTO orgs (name, key) VALUES (?, ?) RETURNING id", (name, name)).fetchone()
    return int(row[0])


async def names(database: Database) -> list[str]:
    """The organisations, by name."""
    return [name for (name,) in await database.fetch_all("SELECT name FROM orgs ORDER BY name")]


async def test_what_is_returned_is_stored(database: Database) -> None:
    """A write is seen by every kind of read when it has returned."""
    org_id = await database.write(add_org, "one")
    sql, values = "SELECT name FROM orgs WHERE id = ?", (org_id,)
    assert await database.fetch_by_key(sql, values) == "one"
    assert await database.fetch_row_by_key(sql, values) == ("one",)
    assert await database.look_up(sql, values) == ("one",)
    assert await database.search(1, sql, values) == "one"
    assert await database.fetch_value(sql, values) == "one"
    assert await database.fetch_by_key(sql, (org_id + 1,)) is None


async def test_a_write_is_not_seen_before_it_ends(database: Database) -> None:
    """Nobody reads half of a write, and reads do not wait for it."""
    begun, go_on = threading.Event(), threading.Event()

    def write(connection: Connection) -> None:
        add_org(connection, "one")
        begun.set()
        go_on.wait(20)
        add_org(connection, "two")

    writing = asyncio.create_task(database.write(write))
    await asyncio.to_thread(begun.wait, 20)
    assert await names(database) == []
    go_on.set()
    await writing
    assert await names(database) == ["one", "two"]


async def test_one_that_fails_undoes_itself_alone(database: Database) -> None:
    """Of writes that share a commit, one that raises leaves nothing; the others are stored."""

    def write(connection: Connection, number: int) -> int:
        add_org(connection, f"{number:03}")
        if number % 3 == 0:
            raise LookupError(number)
        return number

    found = await asyncio.gather(*(database.write(write, n) for n in range(BATCH + 44)), return_exceptions=True)
    assert [isinstance(each, LookupError) for each in found] == [n % 3 == 0 for n in range(BATCH + 44)]
    assert await names(database) == [f"{n:03}" for n in range(BATCH + 44) if n % 3]


@pytest.mark.parametrize("alone", [True, False])
async def test_a_broken_rule_undoes_its_write_alone(database: Database, alone: bool) -> None:
    """A constraint that a statement breaks is an IntegrityError, and the next write goes on."""
    await database.write(add_org, "one")

    def write(connection: Connection) -> None:
        add_org(connection, "two")
        add_org(connection, "one")

    others = [] if alone else [database.write(add_org, "three"), database.write(add_org, "four")]
    failed, *_ = await asyncio.gather(database.write(write), *others, return_exceptions=True)
    assert isinstance(failed, IntegrityError)
    assert rule_of(failed) == RULES["orgs.key"]
    await database.write(add_org, "five")
    assert await names(database) == sorted(["one", "five", *([] if alone else ["three", "four"])])


async def test_savepoints(database: Database) -> None:
    """A part that fails is undone, and the transaction goes on, however the parts are nested."""

    def write(connection: Connection) -> None:
        add_org(connection, "one")
        with contextlib.suppress(IntegrityError), savepoint(connection):
            add_org(connection, "two")
            add_org(connection, "one")
        with savepoint(connection):
            add_org(connection, "three")
            with contextlib.suppress(LookupError), savepoint(connection):
                add_org(connection, "four")
                raise LookupError
        with pytest.raises(LookupError), savepoint(connection):
            raise LookupError
        add_org(connection, "five")

    await database.write(write)
    assert await names(database) == ["five", "one", "three"]


async def test_every_rule_has_its_name(database: Database) -> None:
    """A broken rule is told by table and column, also one that a trigger holds."""

    def prepare(connection: Connection) -> None:
        domains.insert_domain(connection, "a.example", "a.example", {"maxUser": 9})
        users.insert_user(connection, 1, "u@a.example", None, names=[("altname", "nick", 0)])
        users.insert_user(connection, 1, "v@a.example", None)

    await database.write(prepare)
    broken: dict[str, Callable[[Connection], object]] = {
        "domains.domainname": lambda c: domains.insert_domain(c, "a.example", "x", {"maxUser": 9}),
        "addresses.key": lambda c: users.insert_address(c, 2, "alias", "u@a.example"),
        "username is the altname of another user": lambda c: users.insert_user(c, 1, "nick", None),
        "altname is the username of another user": lambda c: users.insert_address(c, 2, "altname", "u@a.example"),
        "users.username": lambda c: c.execute("UPDATE users SET username = 'u@a.example' WHERE id = 2"),
    }
    for name, function in broken.items():
        with pytest.raises(IntegrityError) as caught:
            await database.write(function)
        assert rule_of(caught.value) == RULES[name], name
    with pytest.raises(IntegrityError) as caught:
        await database.write(lambda c: c.execute("INSERT INTO forwards VALUES (99, 0, 'x')"))
    assert "removed meanwhile" in rule_of(caught.value)[1]
    with pytest.raises(IntegrityError):
        await database.write(lambda c: c.execute("UPDATE users SET status = 9 WHERE id = 2"))


async def test_ids_never_come_back(database: Database) -> None:
    """The ID about to be given is known, and that of a deleted user is not given again."""

    def make(connection: Connection, name: str) -> tuple[int, int]:
        return users.next_user_id(connection), users.insert_user(connection, 1, name, None)

    await database.write(domains.insert_domain, "a.example", "a.example", {"maxUser": 9})
    assert await database.write(make, "u@a.example") == (1, 1)
    assert await database.write(make, "v@a.example") == (2, 2)
    await database.write(users.delete_user, 2)
    assert await database.write(make, "w@a.example") == (3, 3)


async def test_nulls_in_order_and_in_comparison(database: Database) -> None:
    """None equals None where it is asked for so, and comes first."""
    await database.write(auth.ensure_administrator, None)
    assert await database.write(auth.change_password, 0, None, "new", "session")
    assert not await database.write(auth.change_password, 0, None, "newer", "session")


async def test_rows_that_a_statement_changed(database: Database) -> None:
    """The number of rows is known after each statement."""
    await database.write(add_org, "one")

    def count(connection: Connection) -> list[int]:
        return [
            connection.execute("UPDATE orgs SET description = 'x' WHERE name = ?", (name,)).rowcount
            for name in ("one", "two")
        ]

    assert await database.write(count) == [1, 0]


async def test_another_process_learns_of_it(open_database: Open) -> None:
    """The generation that one process counts up is known to another one with its next read."""
    async with open_database() as one, open_database() as other:
        await one.write(auth.ensure_administrator, "x")
        before, mark = other.generation.value, other.generation.mark()
        await one.write(auth.set_password, 0, "y")
        assert await other.fetch_by_key("SELECT password FROM users WHERE id = ?", (0,)) == "y"
        assert other.generation.value == one.generation.value > before
        assert other.generation.was_seen_since(mark)


async def test_rules_hold_over_processes(open_database: Open) -> None:
    """What a transaction has found holds until its end, whoever else writes: nobody gets past a limit."""

    def add_if_room(connection: Connection, name: str) -> bool:
        (count,) = connection.execute("SELECT count(*) FROM orgs").fetchone()
        if count >= 10:
            return False
        add_org(connection, name)
        return True

    async with open_database() as one, open_database() as other:
        found = await asyncio.gather(
            *(each.write(add_if_room, f"{n}{side}") for n in range(20) for side, each in enumerate((one, other)))
        )
        assert sum(found) == 10
        assert len(await names(one)) == 10


async def test_who_hangs_up_stops_a_search(database: Database, engine: str) -> None:
    """A search whose caller has gone ends, and the reader works for the next one."""
    searching = [asyncio.create_task(database.search(1, ENDLESS[engine])) for _ in range(2)]
    await asyncio.sleep(0.3)
    for each in searching:
        each.cancel()
    await asyncio.gather(*searching, return_exceptions=True)
    async with asyncio.timeout(20):
        await until(lambda: all(reader.pending == 0 for reader in database._searches.readers))
        assert await database.search(1, "SELECT 1") == 1


async def test_a_search_has_a_deadline(open_database: Open, engine: str) -> None:
    """One that takes longer is stopped and said to be slow; others go on meanwhile."""
    async with open_database(search_timeout=0.5) as database:
        slow = asyncio.create_task(database.search(1, ENDLESS[engine]))
        await asyncio.sleep(0.2)
        assert await database.search(2, "SELECT 1") == 1
        with pytest.raises(SlowSearchError):
            await slow
        assert await database.search(1, "SELECT 1") == 1


async def test_a_cancelled_write_has_not_begun_or_is_whole(database: Database) -> None:
    """Callers who go leave nothing half, and those behind them are served."""

    def write(connection: Connection, number: int) -> None:
        add_org(connection, f"{number}a")
        add_org(connection, f"{number}b")

    writes = [asyncio.create_task(database.write(write, number)) for number in range(60)]
    await asyncio.sleep(0)
    for each in writes[::2]:
        each.cancel()
    await asyncio.gather(*writes, return_exceptions=True)
    stored = await names(database)
    assert {name[:-1] for name in stored} >= {str(number) for number in range(1, 60, 2)}
    assert all(f"{name[:-1]}{half}" in stored for name in stored for half in "ab")


async def test_closing_under_load(open_database: Open) -> None:
    """What was accepted is finished, searches are stopped, and later calls are refused."""
    async with open_database() as database:
        writes = [asyncio.create_task(database.write(add_org, f"{n:02}")) for n in range(50)]
        await asyncio.sleep(0)
        await database.close()
        await asyncio.gather(*writes)
        with pytest.raises(DatabaseError):
            await database.write(add_org, "late")
        await database.close()
    async with open_database() as database:
        assert await names(database) == [f"{n:02}" for n in range(50)]


async def test_a_task_of_another_process(open_database: Open) -> None:
    """A task that one process has made is a task of all."""
    async with open_database() as one, open_database() as other:
        owner = tasks.Owner("owner", "node", 1)
        task_id = await one.write(tasks.insert_task, "x", {"a": 1}, None, owner, 1, "2026-01-01 00:00:00")
        assert await other.read(tasks.count_unfinished, None) == (1, 1)
        assert await other.write(tasks.update_task, task_id, tasks.COMPLETED, "done", "2026-01-01 00:00:00")
        assert await one.read(tasks.count_unfinished, None) == (0, 0)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_a_connection_that_is_cut(open_database: Open) -> None:
    """Reads and writes go on over new connections when all of them have been ended, and nobody is told."""
    async with open_database() as database, open_database() as other:
        assert is_postgresql(database)
        for number in range(3):
            await database.write(add_org, f"{number}")
            assert await database.search(1, "SELECT count(*) FROM orgs") == number + 1
            await other.fetch_all(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND application_name = 'postroom' AND datname = current_database()"
            )
            assert await database.fetch_by_key("SELECT count(*) FROM orgs", ()) == number + 1
            assert await database.search(1, "SELECT count(*) FROM orgs") == number + 1
        assert await names(database) == ["0", "1", "2"]


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_a_connection_that_is_cut_inside_a_write(open_database: Open) -> None:
    """Nothing of the write is stored, its caller is told that the database failed, and the next one goes on."""
    async with open_database() as database, open_database() as other:
        ready, go_on = threading.Event(), threading.Event()

        def write(connection: Connection) -> None:
            add_org(connection, "half")
            ready.set()
            go_on.wait(20)
            add_org(connection, "rest")

        writing = asyncio.create_task(database.write(write))
        await asyncio.to_thread(ready.wait, 20)
        await other.fetch_all(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'"
            " AND datname = current_database()"
        )
        go_on.set()
        with pytest.raises(DatabaseError):
            await writing
        await database.write(add_org, "next")
        assert await names(database) == ["next"]
