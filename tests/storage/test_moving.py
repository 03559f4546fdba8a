"""Moving everything from one database into another, of either engine."""

import asyncio
import contextlib
import itertools
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from postroom.storage import tasks, users
from postroom.storage.database import Database
from postroom.storage.engine import Connection
from postroom.storage.faults import DatabaseError, NoDatabaseError, UncertainError, WrongDatabaseError
from postroom.storage.moving import mover, sqlite
from postroom.storage.moving.mover import Moved, move
from postroom.storage.moving.stores import MoveError
from postroom.storage.moving.tables import KEPT_IDS, MADE_ANEW, TABLES
from postroom.storage.postgresql import moving as postgresql
from postroom.storage.postgresql import opening
from postroom.storage.postgresql.connection import Connection as Postgresql
from postroom.storage.progress import Report
from postroom.storage.urls import is_url
from tests.conftest import StartService
from tests.support.both_engines import SQLITE_OWN, make_sqlite, open_postgresql, open_sqlite, run, sqlite_tables
from tests.support.postgresql import PostgreSQL
from tests.support.service import ADMIN_PASSWORD, USER_PASSWORD
from tests.support.waiting import until
from tests.support.whole_store import PROPERTIES, documents, fill

pytestmark = [pytest.mark.postgresql, pytest.mark.sqlite]

ENGINES = ("sqlite", "postgresql")

Name = Callable[[str], str]
_NUMBERS = itertools.count()


@pytest.fixture
def keys(tmp_path: Path) -> str:
    """The key file of all databases of a test."""
    return str(tmp_path / "keys")


@pytest.fixture
def new(postgresql_server: PostgreSQL, tmp_path: Path) -> Name:
    """Names a database of an engine in which there is nothing yet."""
    names = iter(range(99))

    def name(engine: str) -> str:
        if engine == "sqlite":
            return str(tmp_path / f"{next(names)}.sqlite3")
        return postgresql_server.url(postgresql_server.make_database())

    return name


def make(name: str, keys: str, prepare: Callable[[Any], object] = lambda _connection: None) -> str:
    """A database with rows in every table, and what `prepare` does in it; its name."""
    asyncio.run(_make(name, keys, prepare))
    return name


async def _make(name: str, keys: str, prepare: Callable[[Any], object]) -> None:
    path = f"{keys}.{next(_NUMBERS)}" if is_url(name) else name
    await make_sqlite(Path(path), filled=True, key_file=keys)
    if is_url(name):
        carry(path, name, keys)
    async with opened(name, keys) as database:
        await database.write(prepare)


@contextlib.asynccontextmanager
async def opened(name: str, keys: str) -> AsyncIterator[Database]:
    """The database, as another process would open it."""
    database = await Database.open(name, create=False, key_file=keys)
    try:
        yield database
    finally:
        await database.close()


async def start(name: str, keys: str | None = None) -> None:
    """What a service does with a database when it starts."""
    await (await Database.open(name, key_file=keys)).close()


def carry(source: str, target: str, keys: str | None, report: Report = lambda *_: None) -> Moved:
    """Moves one into the other."""
    return move(source, target, keys, report)


def is_nothing(name: str) -> bool:
    """Whether there is nothing of a database, nor of what would have become one."""
    if is_url(name):
        with open_postgresql(name) as connection:
            found = run(connection, "SELECT 1 FROM pg_class WHERE relnamespace = 'public'::regnamespace")
            return found.fetchone() is None
    return not list(Path(name).parent.glob(f"{Path(name).name}*"))


# What is moved.


def test_every_table_is_known(tmp_path: Path) -> None:
    """Each table is moved or made anew, after those that it refers to; the tables whose IDs never come back are."""
    asyncio.run(make_sqlite(tmp_path / "file"))
    with open_sqlite(tmp_path / "file") as connection:
        tables = sqlite_tables(connection)
        assert sorted([*TABLES, *MADE_ANEW]) == sorted([*tables, "user_search"])
        order = list(TABLES)
        for table, key in TABLES.items():
            assert [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[5]] == list(key)
            for reference in connection.execute(f"PRAGMA foreign_key_list({table})"):
                assert order.index(reference[2]) < order.index(table)
        counted = "SELECT name FROM sqlite_schema WHERE sql LIKE '%AUTOINCREMENT%' ORDER BY name"
        assert [name for (name,) in connection.execute(counted)] == sorted(KEPT_IDS)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("other", ENGINES)
async def test_everything_is_the_same(
    engine: str, other: str, new: Name, keys: str, start_service: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API shows the same of both, with a service running on the source; secrets can be read; IDs go on."""
    monkeypatch.setattr(mover, "BATCH", 3)
    monkeypatch.setattr(mover, "SEARCH_BATCH", 2)
    source, target = new(engine), new(other)
    service = await start_service(database=source, key_file=keys)
    admin = await service.login("admin", ADMIN_PASSWORD)
    await fill(service, admin)
    before = await documents(admin)
    assert before["/domains/1/users/1"][1]["properties"].items() >= PROPERTIES.items()
    moved = await asyncio.to_thread(carry, source, target, keys)
    assert [one.table for one in moved.tables if not one.rows] == []
    assert await documents(admin) == before

    service = await start_service(database=target, key_file=keys)
    admin = await service.login("admin", ADMIN_PASSWORD)
    assert await documents(admin) == before
    await service.login("jane@example.org", USER_PASSWORD)
    # Without its password, which is kept, so it has been read.
    await admin.put("/system/mconf/ldap?force=true", (await admin.get("/system/mconf/ldap"))["data"])
    assert (await admin.make_user(1, "new"))["ID"] == 8
    assert (await admin.make_domain("new.example")) == 4
    assert (await admin.post("/system/orgs", {"name": "new"}))["ID"] == 3
    assert (await admin.post("/system/roles", {"name": "new", "permissions": []}))["ID"] == 3
    assert (await admin.get("/domains/1/users?match=new"))["count"] == 1


def test_there_and_back(new: Name, keys: str) -> None:
    """A file that was a PostgreSQL database in between has the same rows of the same types; no original is changed."""
    source = make(new("sqlite"), keys)
    there, back = new("postgresql"), new("sqlite")
    content = Path(source).read_bytes()
    first = carry(source, there, keys)
    assert carry(there, back, keys) == first
    assert Path(source).read_bytes() == content
    with open_sqlite(Path(source)) as one, open_sqlite(Path(back)) as other:
        own = " AND ".join(f"name NOT LIKE '{pattern}'" for pattern in SQLITE_OWN)
        rows_of = [f"SELECT * FROM {table}" for table in (*TABLES, "sqlite_sequence")]
        types, schema = "SELECT id, typeof(value) FROM properties", f"SELECT name, sql FROM sqlite_schema WHERE {own}"
        for statement in (types, schema, *rows_of):
            rows, others = (sorted(each.execute(statement), key=repr) for each in (one, other))
            assert rows == others, statement
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert Path(back).stat().st_mode & 0o777 == 0o600


def shape(url: str) -> list[Any]:
    """Every index, constraint, trigger and identity of a database, with what it is made of."""
    with open_postgresql(url) as connection:
        return [
            run(connection, sql).fetchall()
            for sql in (
                "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
                "SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint ORDER BY 1, 2",
                "SELECT pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
                "SELECT program, version FROM schema_version",
            )
        ]


def test_the_schema_is_that_of_a_service(new: Name, keys: str, postgresql_url: str) -> None:
    """A move leaves every index, rule and trigger in its place."""
    target = new("postgresql")
    carry(make(new("sqlite"), keys), target, keys)
    assert shape(target) == shape(postgresql_url)


def test_ids_beside_those_that_are_kept(new: Name, keys: str) -> None:
    """On PostgreSQL the IDs of all other tables go on behind the largest one, too."""
    target = new("postgresql")
    carry(make(new("sqlite"), keys), target, keys)
    with open_postgresql(target) as connection:
        for table, key in TABLES.items():
            if key == ("id",) and table not in ("sealing", "auth_generation", "audit"):
                ((largest,),) = run(connection, f"SELECT coalesce(max(id), 0) FROM {table}").fetchall()
                ((following,),) = run(connection, f"SELECT nextval('{table}_id_seq')").fetchall()
                assert following > largest, table


def test_nothing_but_an_administrator(new: Name, keys: str) -> None:
    """Nearly empty tables can be moved, too."""
    source, there, back = new("sqlite"), new("postgresql"), new("sqlite")
    asyncio.run(start(source, keys))
    assert carry(source, there, keys) == carry(there, back, keys)


# What is refused.


@pytest.mark.parametrize("engine", ENGINES)
def test_a_target_with_something(engine: str, new: Name, keys: str) -> None:
    """A database that is there is never changed, whosever it is."""
    source, target = make(new("sqlite"), keys), new(engine)
    carry(source, target, keys)
    with pytest.raises(WrongDatabaseError, match=r"already|not empty"):
        carry(source, target, keys)
    other = new(engine)
    if is_url(other):
        with open_postgresql(other) as connection:
            run(connection, "CREATE TABLE things (name text)")
    else:
        Path(f"{other}-wal").touch()
    with pytest.raises(WrongDatabaseError, match=r"already|not empty"):
        carry(source, other, keys)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_database(engine: str, new: Name, keys: str, tmp_path: Path) -> None:
    """Also under another name."""
    source = make(new(engine), keys)
    other = source.replace("postgresql:", "postgres:")
    if not is_url(source):
        other = str(tmp_path / "link")
        Path(other).symlink_to(source)
    for name in (source, other):
        with pytest.raises(MoveError, match="the same database"):
            carry(source, name, keys)
        with pytest.raises(MoveError, match="the same database"):
            carry(name, source, keys)


def set_version(name: str, version: int) -> None:
    """Gives a database another version."""
    if is_url(name):
        with open_postgresql(name) as connection:
            run(connection, f"UPDATE schema_version SET version = {version}")
    else:
        with open_sqlite(Path(name)) as connection:
            connection.execute(f"PRAGMA user_version = {version}")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_source_of_another_version(engine: str, new: Name, keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of a newer version, of an older one, of something else, and one with nothing in it."""
    source, target = make(new(engine), keys), new("sqlite")
    set_version(source, 9999)
    with pytest.raises(WrongDatabaseError, match="newer version"):
        carry(source, target, keys)
    monkeypatch.setattr("postroom.storage.postgresql.migrating._scripts", lambda: {10_000: ""})
    set_version(source, 9999 if is_url(source) else 10)
    with pytest.raises(WrongDatabaseError, match="older version"):
        carry(source, target, keys)
    other = new(engine)
    if is_url(other):
        with pytest.raises(WrongDatabaseError, match="nothing in it"):
            carry(other, target, keys)
        with open_postgresql(other) as connection:
            run(connection, "CREATE TABLE things (name text)")
    else:
        with pytest.raises(NoDatabaseError):
            carry(other, target, keys)
        with open_sqlite(Path(other)) as connection:
            connection.execute("CREATE TABLE things (name TEXT)")
    with pytest.raises(WrongDatabaseError, match="something else"):
        carry(other, target, keys)
    assert is_nothing(target)


def test_keys(new: Name, keys: str, tmp_path: Path) -> None:
    """The keys have to be where the service on the target looks for them, or it is said what to copy."""
    source, target = new("sqlite"), new("sqlite")
    asyncio.run(make_sqlite(Path(source), filled=True))
    beside = Path(f"{source}.key")
    for names in ((source, new("postgresql")), (new("postgresql"), target)):
        with pytest.raises(MoveError, match="POSTROOM_KEY_FILE"):
            carry(*names, None)
    with pytest.raises(MoveError, match=re.escape(f"{beside}? Copy that to {keys}")):
        carry(source, target, keys)
    expected = Path(f"{target}.key")
    expected.write_bytes(beside.read_bytes().splitlines(keepends=True)[0] + b"A" * 43 + b"=\n")
    expected.chmod(0o600)
    with pytest.raises(MoveError, match="another database"):
        carry(source, target, None)
    expected.unlink()
    moved = carry(source, target, None)
    assert (moved.keys, moved.copy_keys_from) == (expected, beside)
    with pytest.raises(WrongDatabaseError, match="missing"):
        asyncio.run(start(target))
    expected.write_bytes(beside.read_bytes())
    expected.chmod(0o600)
    asyncio.run(start(target))
    Path(target).unlink()
    assert carry(source, target, None).copy_keys_from is None
    beside.unlink()
    with pytest.raises(MoveError, match="postroom key reset"):
        carry(source, new("sqlite"), None)


def add_nul(connection: Connection) -> None:
    """A text that PostgreSQL does not store."""
    connection.execute("UPDATE domains SET title = ? WHERE id = 2", ("a\0b",))


def add_long_key(connection: Connection) -> None:
    """A name that is too long for an index of PostgreSQL."""
    connection.execute("UPDATE users SET username = ? WHERE id = 2", ("ä" * 1025,))


@pytest.mark.parametrize(
    ("prepare", "row", "reason"),
    [(add_nul, "domains (id 2)", "NUL"), (add_long_key, "users (id 2)", "users_username_check")],
)
def test_a_row_that_cannot_be_stored(
    prepare: Callable[[Any], object], row: str, reason: str, new: Name, keys: str
) -> None:
    """It is named, without its content; nothing is left."""
    source, target = make(new("sqlite"), keys, prepare), new("postgresql")
    with pytest.raises(MoveError, match=re.escape(row)) as caught:
        carry(source, target, keys)
    assert reason in str(caught.value)
    assert "ä" not in str(caught.value)
    assert is_nothing(target)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_reference_to_nothing(engine: str, new: Name, keys: str) -> None:
    """A source that breaks its own rules is not moved."""
    source, target = make(new("sqlite"), keys), new(engine)
    with open_sqlite(Path(source)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("INSERT INTO user_roles VALUES (99, 1)")
    with pytest.raises(MoveError, match="user_roles"):
        carry(source, target, keys)
    assert is_nothing(target)


def test_a_value_that_breaks_a_rule_of_sqlite(new: Name, keys: str) -> None:
    """A row that SQLite does not store is named, too."""
    source, target = make(new("postgresql"), keys), new("sqlite")
    with open_postgresql(source) as connection:
        run(connection, "ALTER TABLE orgs ALTER COLUMN name DROP NOT NULL")
        run(connection, "UPDATE orgs SET name = NULL WHERE id = 1")
    with pytest.raises(MoveError, match=re.escape("orgs (id 1): NOT NULL")):
        carry(source, target, keys)
    assert is_nothing(target)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_copy_that_is_not_the_same(engine: str, new: Name, keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has become of each row is looked at before there is a target."""
    module = sqlite if engine == "sqlite" else postgresql
    insert = module.Target.insert

    def changed(self: Any, table: str, columns: Any, rows: Any) -> None:
        if table == "oof":
            rows = [tuple("other" if value == rows[0][5] else value for value in row) for row in rows]
        insert(self, table, columns, rows)

    monkeypatch.setattr(module.Target, "insert", changed)
    source, target = make(new("sqlite"), keys), new(engine)
    with pytest.raises(MoveError, match="copy of oof"):
        carry(source, target, keys)
    assert is_nothing(target)


# Others at the same time.


class Halfway:
    """A move that waits when it has begun."""

    def __init__(self, source: str, target: str, keys: str) -> None:
        self._begun, self._go_on = threading.Event(), threading.Event()
        self._moving = asyncio.create_task(asyncio.to_thread(carry, source, target, keys, self._wait))

    def _wait(self, *_: object) -> None:
        self._begun.set()
        self._go_on.wait(60)

    async def __aenter__(self) -> "Halfway":
        assert await asyncio.to_thread(self._begun.wait, 60)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._go_on.set()
        await asyncio.gather(self._moving, return_exceptions=True)

    async def end(self) -> Moved:
        """Lets it go on to its end."""
        self._go_on.set()
        return await self._moving


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_service_on_the_source(
    engine: str, new: Name, keys: str, start_service: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on reading; writes are a 503 until the move is over, and then work again."""
    monkeypatch.setattr("postroom.storage.connections.BUSY_TIMEOUT", 0.2)
    monkeypatch.setattr(opening, "LOCK_TIMEOUT", 1)
    opening._parameters.cache_clear()
    source, target = new(engine), new("sqlite")
    service = await start_service(database=source, key_file=keys)
    admin = await service.login("admin", ADMIN_PASSWORD)
    await admin.make_domain("example.org")
    async with Halfway(source, target, keys) as moving:
        assert (await admin.get("/system/domains"))["count"] == 1
        await admin.refused(503, "POST", "/system/domains", {"domainname": "late.example", "maxUser": 1})
        with pytest.raises(DatabaseError, match="cannot be locked"):
            await asyncio.to_thread(carry, source, new("sqlite"), keys)
        await moving.end()
    await admin.make_domain("later.example")
    with open_sqlite(Path(target)) as connection:
        assert connection.execute("SELECT domainname FROM domains").fetchall() == [("example.org",)]
    opening._parameters.cache_clear()


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_write_that_is_under_way(engine: str, new: Name, keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that is being written to is not moved."""
    monkeypatch.setattr("postroom.storage.connections.BUSY_TIMEOUT", 0.2)
    monkeypatch.setattr(opening, "LOCK_TIMEOUT", 1)
    source, target = await asyncio.to_thread(make, new(engine), keys), new("sqlite")
    opening._parameters.cache_clear()
    database = await Database.open(source, create=False, key_file=keys)
    begun, go_on = threading.Event(), threading.Event()

    def write(connection: Connection) -> None:
        connection.execute("UPDATE orgs SET name = 'changed' WHERE id = 1")
        begun.set()
        go_on.wait(60)

    writing = asyncio.create_task(database.write(write))
    await asyncio.to_thread(begun.wait, 60)
    with pytest.raises(DatabaseError, match="cannot be locked"):
        await asyncio.to_thread(carry, source, target, keys)
    go_on.set()
    await writing
    await database.close()
    carry(source, target, keys)
    with open_sqlite(Path(target)) as connection:
        assert connection.execute("SELECT name FROM orgs").fetchall() == [("changed",)]
    opening._parameters.cache_clear()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_task_at_work(engine: str, new: Name, keys: str) -> None:
    """A source on which a task runs is not moved; a task whose process has gone is in nobody's way."""

    def add_task(connection: Connection, seen: int) -> int:
        owner = tasks.Owner("owner", "node", 1)
        return tasks.insert_task(connection, "ldapSync", {}, None, owner, seen, "2026-01-01 00:00:00")

    source, target = make(new(engine), keys, lambda c: add_task(c, int(time.time()))), new("sqlite")
    with pytest.raises(DatabaseError, match="Task 3 is being worked on"):
        carry(source, target, keys)
    source = make(new(engine), keys, lambda c: add_task(c, int(time.time()) - 100))
    carry(source, target, keys)


@pytest.mark.parametrize("engine", ENGINES)
async def test_two_moves_into_one_target(engine: str, new: Name, keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them is refused, and the other is whole."""
    monkeypatch.setattr(opening, "LOCK_TIMEOUT", 1)
    one, two = [await asyncio.to_thread(make, new("sqlite"), keys) for _ in range(2)]
    target = new(engine)
    opening._parameters.cache_clear()
    async with Halfway(one, target, keys) as moving:
        with pytest.raises(DatabaseError):
            await asyncio.to_thread(carry, two, target, keys)
        await moving.end()
    async with opened(target, keys) as database:
        assert await database.fetch_value("SELECT count(*) FROM users") == 8
    opening._parameters.cache_clear()


def test_a_target_that_appears_meanwhile(new: Name, keys: str) -> None:
    """A service that starts on the name of the target in the middle of a move keeps its file."""
    source, target = make(new("sqlite"), keys), Path(new("sqlite"))
    with pytest.raises(MoveError, match="meanwhile"):
        carry(source, str(target), keys, lambda *_: target.write_text("somebody else's"))
    assert target.read_text() == "somebody else's"
    assert [path.name for path in target.parent.glob(f"{target.name}*")] == [target.name]


# Half-way.

STEPS = (1, 40, 85, 140)
_KILLED = """
import os, signal, sys
from postroom.storage.moving.mover import move
source, target, keys, step = sys.argv[1:]
if step == "link":
    os.link = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
def report(what, done, total):
    if step != "link" and done >= int(step):
        os.kill(os.getpid(), signal.SIGKILL)
move(source, target, keys, report)
"""


@pytest.mark.parametrize(("engine", "step"), [*((e, str(s)) for e in ENGINES for s in STEPS), ("sqlite", "link")])
def test_killed(engine: str, step: str, new: Name, keys: str) -> None:
    """A move that is killed leaves nothing that anybody could take for a database; the next one succeeds."""
    source, target = make(new("sqlite"), keys), new(engine)
    ended = subprocess.run([sys.executable, "-c", _KILLED, source, target, keys, step], check=False)
    assert ended.returncode == -signal.SIGKILL
    if engine == "sqlite":
        assert not Path(target).exists()
    else:
        # The server notices that the connection has gone.
        asyncio.run(until(lambda: is_nothing(target)))
    moved = carry(source, target, keys)
    assert moved.tables == carry(source, new("sqlite"), keys).tables
    if engine == "sqlite":
        assert [path.name for path in Path(target).parent.glob(f"{Path(target).name}*")] == [Path(target).name]


def interrupted(*_: object) -> None:
    """A report at which somebody presses Ctrl-C."""
    raise KeyboardInterrupt


async def delete_user(name: str, keys: str) -> None:
    """Writes something."""
    async with opened(name, keys) as database:
        await database.write(users.delete_user, 1)


@pytest.mark.parametrize("engine", ENGINES)
def test_interrupted(engine: str, new: Name, keys: str) -> None:
    """Nothing is left, and the source can be written to."""
    source, target = make(new(engine), keys), new(engine)
    with pytest.raises(KeyboardInterrupt):
        carry(source, target, keys, interrupted)
    assert is_nothing(target)
    asyncio.run(delete_user(source, keys))


@pytest.mark.parametrize("end", ["source", "target"])
def test_a_server_that_goes_away(end: str, new: Name, keys: str, postgresql_server: PostgreSQL) -> None:
    """A connection that is cut half-way ends the move; nothing is left, and the database is named."""
    source, target = make(new("postgresql"), keys), new("postgresql")
    name = re.search(r"test_\d+", source if end == "source" else target)
    assert name

    def cut(what: str, done: int, _total: int) -> None:
        if done > 30:
            run(
                postgresql_server.admin,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                (name[0],),
            )

    with pytest.raises(DatabaseError, match=rf"/{name[0]}: .*lost"):
        carry(source, target, keys, cut)
    assert is_nothing(target)


def test_a_pause(new: Name, keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the servers may wait as long as the other works: the limits of a service are not those of a move."""
    source, target = make(new("postgresql"), keys), new("postgresql")
    monkeypatch.setattr(opening, "IDLE_TIMEOUT", 1)
    opening._parameters.cache_clear()
    pauses = iter([1.5])
    carry(source, target, keys, lambda *_: time.sleep(next(pauses, 0)))
    opening._parameters.cache_clear()


def test_a_commit_that_nobody_knows_of(
    new: Name, keys: str, postgresql_server: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the connection is lost with the commit, the command does not say that nothing was moved."""
    source, target = make(new("sqlite"), keys), new("postgresql")
    execute = Postgresql.execute

    def cut_before_commit(self: Any, sql: str, *values: Any) -> Any:
        if sql == "COMMIT":
            cut = "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE state = 'idle in transaction'"
            run(postgresql_server.admin, cut)
        return execute(self, sql, *values)

    monkeypatch.setattr(Postgresql, "execute", cut_before_commit)
    with pytest.raises(UncertainError):
        carry(source, target, keys)
    assert is_nothing(target)


def add_long_text(connection: Connection) -> None:
    """More than a few free pages have room for."""
    connection.execute("UPDATE orgs SET description = ?", ("x" * 1_000_000,))


def test_no_room(new: Name, keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is told as one; nothing is left."""
    source, target = make(new("sqlite"), keys, add_long_text), new("sqlite")
    begin = sqlite.Target.begin

    def begin_in_little_room(self: sqlite.Target) -> None:
        begin(self)
        (pages,) = self.run(lambda connection: connection.execute("PRAGMA page_count").fetchone())
        self.run(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchall())

    monkeypatch.setattr(sqlite.Target, "begin", begin_in_little_room)
    with pytest.raises(DatabaseError, match="full") as caught:
        carry(source, target, keys)
    assert not isinstance(caught.value, WrongDatabaseError)
    assert is_nothing(target)
