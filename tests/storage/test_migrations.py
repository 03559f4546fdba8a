"""Old databases become new ones as a whole or not at all, with a copy of what they were beside them."""

import asyncio
import contextlib
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from postroom.schemas.values.queries import UserQuery
from postroom.storage import migrations
from postroom.storage.database import Database
from postroom.storage.faults import DatabaseError, WrongDatabaseError
from postroom.storage.migrations import Migration, MigrationError, latest, statements
from postroom.storage.sqlite import sqlite3
from postroom.storage.user_list import select_users

pytestmark = [pytest.mark.sqlite, pytest.mark.genuine]

DATA = Path(__file__).parents[1] / "data"

#: What a migration changes on purpose: table -> the rows that are to stay as they were. A contact's username changes.
UNCHANGED = {
    "users": "status <> 5",
    "addresses": "user_id NOT IN (SELECT id FROM users WHERE status = 5)",
    "auth_generation": "FALSE",  # counts whatever concerns logins
    "properties": "instr(coalesce(folded, ''), char(8205)) = 0",  # what is not shown is not searched for either
    # (test_sealed.py looks at these)
    "settings": "name <> 'token_key'",
    "ldap_configs": "FALSE",
    "fetchmail": "FALSE",
}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A database of schema 1 with rows in every table."""
    path = tmp_path / "postroom.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript((DATA / "schema_0001.sql").read_text("utf-8"))
    return path


async def opened_once(path: Path, *, create: bool = True) -> None:
    """Opens a database as a service does, or without `create` as a command does, and closes it again."""
    await (await Database.open(str(path), create=create)).close()


def open_once(path: Path, *, create: bool = True) -> None:
    """The same, for tests that look at files."""
    asyncio.run(opened_once(path, create=create))


@contextlib.contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a file that nobody else has open."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        yield connection


def tables(connection: sqlite3.Connection, schema: str = "main") -> list[str]:
    """The tables of the application: not those of SQLite, nor those in which a search index keeps itself."""
    rows = connection.execute(f"SELECT name FROM {schema}.sqlite_schema WHERE type = 'table' ORDER BY name")
    return [name for (name,) in rows if not name.startswith("sqlite_stat") and "_search" not in name]


def schema(path: Path) -> set[tuple[str, str, str]]:
    """(kind, name, SQL without its layout) of everything in a database."""
    with connected(path) as connection:
        rows = connection.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_schema").fetchall()
    return {(kind, name, " ".join(sql.split())) for kind, name, sql in rows if not name.startswith("sqlite_stat")}


def contents(path: Path) -> dict[str, list[Any]]:
    """Every row of every table."""
    with connected(path) as connection:
        return {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables(connection)}


def version(path: Path) -> int:
    """The schema version of a file."""
    with connected(path) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_a_migrated_schema_is_that_of_a_new_database(old: Path, tmp_path: Path) -> None:
    """Tables, indexes and triggers of an old database become the same as those of a new one; none is lost."""
    before = {(kind, name) for kind, name, _ in schema(old)}
    open_once(old)
    open_once(tmp_path / "new.sqlite3")
    assert version(old) == version(tmp_path / "new.sqlite3") == latest()
    assert schema(old) == schema(tmp_path / "new.sqlite3")
    gone = {name for _, name in before - {(kind, name) for kind, name, _ in schema(old)}}
    # user_search and properties_by_value have taken their places.
    replaced = ("sqlite_autoindex", "address_search", "property_search", "properties_by_number")
    assert {name for name in gone if not name.startswith(replaced)} == set()


def test_every_row_is_kept(old: Path) -> None:
    """All values of all tables are what they were, to the type; the next IDs, too."""
    with connected(old) as connection:
        empty = [table for table in tables(connection) if not connection.execute(f"SELECT 1 FROM {table}").fetchone()]
    assert not empty, "the old database shows nothing of these"
    open_once(old)
    with connected(old) as connection:
        connection.execute("ATTACH ? AS old", (str(old) + ".schema-1.backup",))
        for table in tables(connection, "old"):
            columns = [row[1] for row in connection.execute(f"PRAGMA old.table_info({table})")]
            values = ", ".join(f"{column}, typeof({column})" for column in columns)
            condition = UNCHANGED.get(table, "TRUE")
            one, other = (f"SELECT {values} FROM {schema}.{table} WHERE {condition}" for schema in ("old", "main"))
            assert connection.execute(f"{one} EXCEPT {other}").fetchall() == [], table


def test_a_migrated_database_is_sound(old: Path) -> None:
    """No reference is broken, no page, no index; the counts of the domains are right, also where they were not."""
    with connected(old) as connection:
        connection.execute("UPDATE domains SET active_users = -5, virtual_users = 99")
        connection.commit()
    open_once(old)
    with connected(old) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.execute("INSERT INTO user_search (user_search) VALUES ('integrity-check')")
        rows = "SELECT id FROM user_search_docsize ORDER BY id"
        users = "SELECT (domain_id << 32) + id FROM users WHERE domain_id IS NOT NULL ORDER BY 1"
        assert connection.execute(rows).fetchall() == connection.execute(users).fetchall()
        elsewhere = "SELECT 1 FROM properties p JOIN users u ON u.id = p.user_id WHERE p.domain_id IS NOT u.domain_id"
        assert connection.execute(elsewhere).fetchall() == []
        counted = connection.execute(
            """
            SELECT count(*) FILTER (WHERE status = 0), count(*) FILTER (WHERE status IN (1, 2, 3)),
                   count(*) FILTER (WHERE status IN (4, 5))
              FROM users WHERE domain_id IS NOT NULL GROUP BY domain_id ORDER BY domain_id
            """
        ).fetchall()
        kept = "SELECT active_users, inactive_users, virtual_users FROM domains ORDER BY id"
        assert connection.execute(kept).fetchall() == counted
        types = """
            SELECT u.domain_id, u.status, p.number, count(*) FROM properties p JOIN users u ON u.id = p.user_id
             WHERE p.name = 'displaytypeex' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        """
        kept = "SELECT * FROM display_type_counts ORDER BY domain_id, status, display_type"
        assert connection.execute(kept).fetchall() == connection.execute(types).fetchall() != []


async def test_a_migrated_database_works(old: Path) -> None:
    """Names and properties are found, and go with their user, whose ID and those of the deleted never come back."""
    database = await Database.open(str(old))

    async def found(word: str, tags: list[int]) -> bytes:
        return await select_users(database, 1, UserQuery(words=[word], match_tags=tags, level=0), caller=0) or b""

    try:
        assert b"jane@example.org" in await found("straße", [])
        assert b"jane@example.org" in await found("döe", [0x3001001F])
        await database.write(lambda c: c.execute("DELETE FROM users WHERE id = 1").close())
        assert b'"count":0' in await found("straße", [])
        assert b'"count":0' in await found("döe", [0x3001001F])
        for table in ("properties", "devices", "wipe_history", "due_resyncs", "oof", "fetchmail", "grants"):
            assert await database.fetch_value(f"SELECT count(*) FROM {table} WHERE user_id = 1") == 0, table
        add = "INSERT INTO users (domain_id, username) VALUES (1, 'new@example.org') RETURNING id"
        # 7 is the last of those there are; 8 was deleted.
        assert await database.write(lambda c: c.execute(add).fetchone()) == (9,)
        assert await database.fetch_value("SELECT active_users FROM domains WHERE id = 1") == 2
    finally:
        await database.close()


def test_a_copy_is_kept_beside_it(old: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The copy is the database as it was, also what had not reached the file yet; it is its owner's alone."""
    with connected(old) as writing:
        writing.execute("PRAGMA journal_mode = WAL").fetchall()
        writing.execute("INSERT INTO settings VALUES ('late', 'in the log')")
        writing.commit()
        before = contents(old)
        with caplog.at_level("INFO"):
            open_once(old)
    copy = old.with_name("postroom.sqlite3.schema-1.backup")
    assert contents(copy) == before
    assert ("late", "in the log") in before["settings"]
    assert version(copy) == 1
    assert copy.stat().st_mode & 0o777 == 0o600
    assert str(copy) in caplog.text
    assert {path.name for path in old.parent.iterdir() if "-wal" not in path.name and "-shm" not in path.name} == {
        old.name,
        copy.name,
        f"{old.name}.key",
    }


def test_older_copies_are_never_overwritten(old: Path) -> None:
    """Another copy of the same version gets another name; the very same one is not kept twice."""
    copies = [old.with_name(f"{old.name}.schema-1.backup{more}") for more in ("", "-2", "-3")]
    copies[0].write_text("something that somebody wants to keep")
    original = old.read_bytes()
    for _ in range(2):
        open_once(old)
        old.write_bytes(original)
    assert copies[0].read_text() == "something that somebody wants to keep"
    assert version(copies[1]) == 1
    assert not copies[2].exists()


def test_no_copy_of_new_databases(tmp_path: Path) -> None:
    """There is nothing to keep of a database that is new, in memory, or up to date."""
    open_once(tmp_path / "a.sqlite3")
    open_once(tmp_path / "a.sqlite3")
    open_once(Path(":memory:"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.sqlite3", "a.sqlite3.key"]
    assert not list(Path().glob("*.backup*"))


OPEN = """
    import asyncio, sys
    from postroom.storage.database import Database
    async def main():
        await (await Database.open(sys.argv[1])).close()
    asyncio.run(main())
"""


def program(code: str, path: Path, **options: Any) -> subprocess.Popen[str]:
    """Another Python process."""
    arguments = [sys.executable, "-c", textwrap.dedent(code), str(path)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def test_without_room_for_the_copy_nothing_is_changed(old: Path) -> None:
    """When the copy cannot be written, the database stays of its version, whole, and the reason is told."""
    before, room = contents(old), old.stat().st_size // 2

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    with program(OPEN, old, preexec_fn=limit) as process:
        _, errors = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "no copy of it could be written, so it was left as it is" in errors
    assert version(old) == 1
    assert contents(old) == before
    assert [path.name for path in old.parent.iterdir()] == [old.name]


KILLED = """
    import sys, time
    from postroom.storage.sqlite import sqlite3
    from postroom.storage import migrations
    from postroom.storage.connections import connect_writer, uri_of
    from postroom.storage.keyring import Keyring
    slow = migrations.Migration(
        9998, "9998_slow.sql", "DELETE FROM users; UPDATE domains SET title = 'half'; SELECT pause();"
    )
    known = migrations.migrations()
    migrations.migrations = lambda: (*known, slow)
    plain = sqlite3.connect

    def connect(*args, **options):
        connection = plain(*args, **options)
        # Everything that was changed is forced out of the cache into the file's log before the pause.
        connection.execute("PRAGMA cache_size = 1")
        connection.create_function("pause", 0, lambda: print("half", flush=True) or time.sleep(60))
        return connection

    sqlite3.connect = connect
    connect_writer(uri_of(sys.argv[1]), sys.argv[1], Keyring(sys.argv[1] + ".key"), create=True, unlock=True)
"""


def test_killed_in_the_middle(old: Path) -> None:
    """A process that is killed while it migrates leaves the old version whole, and the next start finishes the job."""
    before = contents(old)
    with program(KILLED, old) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        assert (old.parent / f"{old.name}-wal").stat().st_size > 0
        process.send_signal(signal.SIGKILL)
    assert version(old) == 1
    assert contents(old) == before
    # As if it had been killed while it wrote the copy.
    (old.parent / f"{old.name}.backup.part").write_text("half")
    open_once(old)
    assert version(old) == latest()
    names = {path.name for path in old.parent.iterdir()}
    assert names == {old.name, f"{old.name}.key", f"{old.name}.schema-1.backup"}, "one copy is enough"


OPEN_EACH = """
    import sys
    from postroom.storage.connections import connect_writer, uri_of
    from postroom.storage.keyring import Keyring
    for line in sys.stdin:
        path = line.strip()
        try:
            connect_writer(uri_of(path), path, Keyring(f"{path}.key"), create=True, unlock=True).close()
            print("fine", flush=True)
        except Exception as error:
            print(repr(error), flush=True)
"""


@pytest.mark.parametrize("kind", ["old", "new"])
def test_several_processes_at_once(old: Path, tmp_path: Path, kind: str) -> None:
    """Of processes that open a new or an old database at the same time one brings it up to date, and all can use it."""
    original, turns = old.read_bytes(), 30
    with contextlib.ExitStack() as stack:
        # Started beforehand, so that they come at the same moment.
        processes = [stack.enter_context(program(OPEN_EACH, old, stdin=subprocess.PIPE)) for _ in range(6)]
        for turn in range(turns):
            file = tmp_path / str(turn) / "postroom.sqlite3"
            file.parent.mkdir()
            if kind == "old":
                file.write_bytes(original)
            for process in processes:
                assert process.stdin is not None
                process.stdin.write(f"{file}\n")
                process.stdin.flush()
            answers = [process.stdout.readline() for process in processes if process.stdout is not None]
            assert answers == ["fine\n"] * 6
            assert version(file) == latest()
            assert len(list(file.parent.glob("*.backup*"))) == (kind == "old")
        for process in processes:
            process.communicate()


@pytest.fixture
def appended(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Adds a last migration."""

    def append(script: str) -> None:
        known = migrations.migrations()
        monkeypatch.setattr(migrations, "migrations", lambda: (*known, Migration(9999, "9999_last.sql", script)))

    return append


def test_rebuilding_a_table_deletes_nothing_that_refers_to_it(old: Path, appended: Any) -> None:
    """With foreign keys on, dropping `users` would take along everything that people have."""
    before = [row[:8] for row in contents(old)["properties"]]
    appended("CREATE TEMP TABLE kept AS SELECT * FROM users; DROP TABLE users; "
             "CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT); "
             "INSERT INTO users SELECT id, username FROM temp.kept;")  # fmt: skip
    open_once(old)
    assert [row[:8] for row in contents(old)["properties"]] == before


async def test_foreign_keys_are_on_again(old: Path) -> None:
    """After a migration references are checked as ever."""
    database = await Database.open(str(old))
    assert await database.write(lambda c: c.execute("PRAGMA foreign_keys").fetchone()) == (1,)
    await database.close()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("DELETE FROM users WHERE id = 1;", r"would refer to something that is not there .*properties to users"),
        ("CREATE TABLE a (b); DELETE FROM nowhere;", r"9999_last.sql failed: no such table: nowhere"),
        ("CREATE TABLE a (b); DROP TABLE users", r"last statement of 9999_last.sql does not end with a semicolon"),
        ("CREATE TABLE a (b)\nCREATE TABLE c (d);", r"9999_last.sql failed"),
        ("CREATE TRIGGER a AFTER DELETE ON users BEGIN SELECT 1;", r"does not end with a semicolon"),
        ("CREATE TABLE a (b); /* ; ", r"does not end with a semicolon"),
        ("COMMIT;", "ends the transaction"),
    ],
)
def test_a_faulty_migration_changes_nothing(old: Path, appended: Any, script: str, reason: str) -> None:
    """A broken reference, a failing statement or one that is not whole: a sentence, and the database as it was."""
    appended(script)
    before = contents(old)
    with pytest.raises(DatabaseError, match=reason):
        open_once(old)
    if script != "COMMIT;":  # which no transaction outlives
        assert version(old) == 1
        assert contents(old) == before


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("", []),
        ("-- nothing; at all", []),
        ("SELECT 1; -- the end;\n/* of\n; it */ \n", ["SELECT 1;"]),
        ("SELECT ';'; SELECT 2;", ["SELECT ';';", " SELECT 2;"]),
        ("CREATE TRIGGER a AFTER DELETE ON b BEGIN\nSELECT 1;\nEND;\n", None),
    ],
)
def test_statements_of_a_script(script: str, expected: list[str] | None) -> None:
    """Semicolons in texts, comments and triggers end no statement; several may share a line; comments may end it."""
    assert list(statements(Migration(1, "1.sql", script))) == (expected or [script.strip()] * (expected is None))


def test_migrations_as_shipped() -> None:
    """Every script is complete, numbers are there once, and none begins or ends a transaction of its own."""
    known = migrations.migrations()
    assert len({migration.number for migration in known}) == len(known)
    for migration in known:
        for statement in statements(migration):
            first = migrations._COMMENT.sub("", statement).split()[0].upper()
            assert first not in {"BEGIN", "COMMIT", "END", "ROLLBACK", "PRAGMA", "VACUUM", "ATTACH"}, migration.name


def test_a_statement_that_is_cut_off_names_its_file() -> None:
    """The error says in which file it is."""
    with pytest.raises(MigrationError, match=r"0042_cut\.sql"):
        list(statements(Migration(42, "0042_cut.sql", "SELECT 1; SELECT 2")))


def test_without_create_nothing_is_brought_up_to_date(old: Path) -> None:
    """A command leaves an older database as it is, and says what to do."""
    before = old.read_bytes()
    with pytest.raises(WrongDatabaseError, match=r"older version of postroom \(schema 1.*when it starts"):
        open_once(old, create=False)
    assert old.read_bytes() == before
    assert [path.name for path in old.parent.iterdir()] == [old.name]


def test_without_create_an_empty_file_stays_empty(tmp_path: Path) -> None:
    """A file without a database in it is no database."""
    path = tmp_path / "empty.sqlite3"
    path.touch()
    with pytest.raises(WrongDatabaseError, match="there is nothing in it"):
        open_once(path, create=False)
    assert path.stat().st_size == 0


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    """A browser's history is not made a mail store."""
    path = tmp_path / "places.sqlite"
    with connected(path) as connection:
        connection.execute("CREATE TABLE moz_places (id INTEGER)")
    before = path.read_bytes()
    with pytest.raises(WrongDatabaseError, match="something else"):
        open_once(path)
    assert path.read_bytes() == before


async def test_a_migration_waits_for_another_process(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start does not fail because another process holds the lock for longer than a request would wait."""
    monkeypatch.setattr("postroom.storage.connections.BUSY_TIMEOUT", 0.4)
    with connected(old) as holding:
        holding.execute("PRAGMA journal_mode = WAL").fetchall()
        holding.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(opened_once(old))
        begun = time.monotonic()
        await asyncio.sleep(1.5)
        assert not waiting.done()
        holding.execute("ROLLBACK")
        await waiting
    assert time.monotonic() - begun < 30
