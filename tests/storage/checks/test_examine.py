"""Every check of a database finds the fault that it is for, and nothing in a database that is as it should be."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from postroom.storage import sqlite as engine_of_files
from postroom.storage.checks import foundation, sqlite
from postroom.storage.checks.examine import DATA, examine
from postroom.storage.checks.findings import Finding, State
from postroom.storage.faults import DatabaseError
from postroom.storage.postgresql import checks as postgresql
from postroom.storage.sqlite import sqlite3
from tests.conftest import StartService
from tests.support.damage import damage
from tests.support.postgresql import PostgreSQL
from tests.support.service import ADMIN_PASSWORD
from tests.support.stores import Store, make_whole

pytestmark = [pytest.mark.postgresql, pytest.mark.sqlite]

DATA_FILES = Path(__file__).parents[2] / "data"
ENGINES = ("sqlite", "postgresql")
CHECKS = {
    "sqlite": (*sqlite.CHECKS, *DATA, *sqlite.SEARCH),
    "postgresql": (*postgresql.CHECKS, *DATA, *postgresql.SEARCH),
}
#: What the tests' own server does not care about.
TOLERATED = {"engine"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with something in every table."""
    return make_whole(tmp_path_factory.mktemp("whole"))


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine."""
    return str(request.param)


@pytest.fixture
def store(engine: str, whole: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Store:
    """A copy of that file on each engine."""
    server: PostgreSQL | None = request.getfixturevalue("postgresql_server") if engine == "postgresql" else None
    return Store.copied(whole, tmp_path, server)


@dataclass(frozen=True, slots=True)
class Planted:
    """Statements that break something, the names of the checks that find it, and of those that a repair leaves."""

    statements: tuple[str, ...]
    found: set[str]
    left: set[str]
    engines: tuple[str, ...]


def repaired(found: str, *statements: str, left: str = "", engines: tuple[str, ...] = ENGINES) -> Planted:
    """A fault that these checks find (names separated by commas), and that a repair removes but for what is `left`."""
    return Planted(statements, set(found.split(", ")), set(left.split(", ")) - {""}, engines)


def planted(found: str, *statements: str, engines: tuple[str, ...] = ENGINES) -> Planted:
    """A fault that needs a decision of somebody."""
    return repaired(found, *statements, left=found, engines=engines)


ADDRESS = "INSERT INTO addresses (id, user_id, kind, address, key) VALUES"
FAULTS = (
    planted("schema", "DROP INDEX store_access_by_member"),
    planted("schema", "DROP INDEX addresses_by_key", "CREATE INDEX addresses_by_key ON addresses (key)"),
    planted("additions", "CREATE TABLE notes (id INTEGER PRIMARY KEY, note TEXT)"),
    repaired("references", "INSERT INTO store_access (user_id, member_id) VALUES (77, 78)"),
    planted("references", "UPDATE domains SET org_id = 77 WHERE id = 2"),
    planted(
        "references", "INSERT INTO role_permissions (role_id, permission, domain_id) VALUES (1, 'DomainAdmin', 77)"
    ),
    repaired("IDs", "UPDATE sqlite_sequence SET seq = 3 WHERE name = 'users'", engines=("sqlite",)),
    repaired("IDs", "DELETE FROM sqlite_sequence WHERE name = 'orgs'", engines=("sqlite",)),
    repaired("IDs", "SELECT setval('users_id_seq', 3)", engines=("postgresql",)),
    repaired("usernames, search index", "DELETE FROM addresses WHERE user_id = 6 AND kind = 'username'"),
    repaired(
        "usernames, search index",
        f"{ADDRESS} (900, 2, 'username', 'second@example.org', 'second@example.org')",
        left="usernames",
    ),
    planted("usernames, names in domains", "UPDATE users SET username = 'john@elsewhere.example' WHERE id = 2"),
    repaired("folded names, search index", "UPDATE addresses SET key = upper(key) WHERE user_id = 6"),
    repaired(
        "altnames, search index",
        f"{ADDRESS} (900, 1, 'altname', 'john@example.org', 'john@example.org')",
        left="altnames",
    ),
    repaired(
        "aliases, search index",
        f"{ADDRESS} (900, 1, 'alias', 'jane@elsewhere.example', 'jane@elsewhere.example')",
        left="aliases",
    ),
    planted("fetchmail mailboxes", "UPDATE fetchmail SET mailbox = 'john@example.org' WHERE id = 1"),
    planted("grants", "UPDATE grants SET member_id = 6 WHERE key = 'john@example.org'"),
    planted("store access", "UPDATE domains SET org_id = NULL WHERE id = 1", "INSERT INTO store_access VALUES (1, 6)"),
    repaired("user counts", "UPDATE domains SET virtual_users = 7 WHERE id = 1"),
    repaired("display type counts", "UPDATE display_type_counts SET users = users + 1 WHERE display_type = 6"),
    repaired("display type counts", "DELETE FROM display_type_counts WHERE display_type = 6"),
    repaired("domains of properties", "UPDATE properties SET domain_id = 2 WHERE user_id = 1"),
    repaired(
        "search index",
        "UPDATE addresses SET address = 'x.doe@example.org', key = 'x.doe@example.org' WHERE key = 'j.doe@example.org'",
    ),
    repaired("search index", "DELETE FROM user_search WHERE rowid = 4294967298"),
    repaired(
        "search index",
        "INSERT INTO user_search (rowid, username) VALUES ((2 << 32) + 77, 'aa')",
        engines=("sqlite",),
    ),
    repaired(
        "search index",
        "INSERT INTO user_search (user_id, domain_id, username, aliases, altnames, displayname, properties)"
        " VALUES (77, 2, 'aa', '', '', '', '')",
        engines=("postgresql",),
    ),
    repaired("search rows due", "INSERT INTO search_due VALUES (2)"),
    planted("administrator", "UPDATE users SET status = 1 WHERE id = 0"),
    planted("permissions", "UPDATE role_permissions SET permission = 'Everything' WHERE domain_id IS NULL"),
    planted("permissions", "UPDATE role_permissions SET everything = 1 WHERE domain_id IS NULL"),
    planted("permissions", "UPDATE role_permissions SET permission = 'OrgAdmin' WHERE domain_id = 1"),
    planted("passwords of linked users", "UPDATE users SET password = 'hash' WHERE id = 2"),
    planted("linked users", "DELETE FROM ldap_configs"),
    repaired("logins", "UPDATE sessions SET epoch = epoch + 1"),
    repaired("logins", "UPDATE users SET kept_epoch = 99, kept_session = 'session' WHERE id = 1"),
    planted("token key", "DELETE FROM settings WHERE name = 'token_key'"),
    planted("generation", "DELETE FROM auth_generation"),
    planted("documents", "UPDATE domains SET sync_policy = '[' WHERE id = 1"),
    planted("documents", "UPDATE create_defaults SET document = '[]' WHERE domain_id = 1"),
    repaired(
        "documents, forms of properties",
        "UPDATE properties SET value = '{}' WHERE multi = 1 AND kind = 'text'",
        left="documents",
        engines=("sqlite",),
    ),
    planted("documents", "UPDATE api_tokens SET networks = 'everywhere'"),
    planted("permissions", "UPDATE api_token_permissions SET permission = 'Everything'"),
    repaired("references", "UPDATE api_token_permissions SET domain_id = NULL, org_id = NULL, token_id = 77"),
    planted("times", "UPDATE oof SET start_time = '2026-02-30 08:00:00'"),
    planted("times", "UPDATE domains SET end_day = 'never' WHERE id = 1"),
    planted("properties", "UPDATE properties SET name = 'another' WHERE user_id = 1 AND name = 'comment'"),
    planted("properties", "UPDATE properties SET tag = 1 WHERE user_id = 1 AND name = 'birthday'"),
    repaired(
        "forms of properties",
        "UPDATE properties SET number = 7 WHERE user_id = 1 AND name = 'gender'",
        engines=("sqlite",),
    ),
    repaired("forms of properties", "UPDATE properties SET folded = 'x' WHERE user_id = 1 AND name = 'birthday'"),
    planted(
        "bounds",
        "INSERT INTO wipe_history (user_id, device_id, time, remote_ip, status)"
        " SELECT 1, 'phone', 1, '', 1 FROM properties a, properties b LIMIT 101",
    ),
    planted("key file", "UPDATE sealing SET key_id = 'another'"),
    planted("secrets", "UPDATE fetchmail SET src_password = (SELECT src_password FROM fetchmail WHERE id = 1)"),
    planted("deleted secrets", "UPDATE fetchmail SET src_password = '' WHERE id = 1"),
    planted("remnants", "UPDATE sealing SET remnants = 1"),
)
#: Checks whose faults are no statements; they have tests of their own below.
OTHERWISE = {"engine", "file", "search structure"}


def examined(store: Store) -> dict[str, Finding]:
    """What is found: name of the check -> finding."""
    return {finding.name: finding for finding in examine(store.name, store.key_file)}


def faults(store: Store) -> set[str]:
    """The names of the checks that find something."""
    return {name for name, each in examined(store).items() if each.state is not State.OK and name not in TOLERATED}


def test_nothing_is_wrong_with_a_whole_store(store: Store, engine: str) -> None:
    """A store with something in every table passes every check."""
    found = examined(store)
    assert {name: each for name, each in found.items() if each.state is not State.OK and name not in TOLERATED} == {}
    assert list(found) == [check.name for check in CHECKS[engine]]


def plant(fault: Planted, store: Store, engine: str) -> None:
    """Makes the fault, if the engine can have it."""
    if engine not in fault.engines:
        pytest.skip("not on this engine")
    store.plant(*fault.statements)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.statements[0])
def test_each_fault_is_found(fault: Planted, store: Store, engine: str) -> None:
    """A fault that no rule would allow is found by the check that is for it, and by no other."""
    plant(fault, store, engine)
    assert faults(store) == fault.found


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.statements[0])
def test_a_repair_loses_nothing(fault: Planted, store: Store, engine: str) -> None:
    """What can be repaired without a decision is repaired, and the findings say so; the rest stays as it is."""
    plant(fault, store, engine)
    found = {each.name: each for each in examine(store.name, store.key_file, repair=True)}
    assert {name for name, each in found.items() if each.state is not State.OK and name not in TOLERATED} == fault.left
    # One repair may make another one unnecessary.
    assert bool(names := {name for name, each in found.items() if each.repaired}) == bool(fault.found - fault.left)
    assert names <= fault.found - fault.left
    assert faults(store) == fault.left


@pytest.mark.parametrize("engine", ENGINES)
def test_each_check_has_a_fault(engine: str) -> None:
    """No check without a test that it finds something."""
    tested = {name for fault in FAULTS if engine in fault.engines for name in fault.found}
    assert {check.name for check in CHECKS[engine]} == tested | (OTHERWISE & {check.name for check in CHECKS[engine]})


#: References whose end somebody sees: what becomes of such a row is their decision.
SHOWN = {
    ("domains", "org_id"), ("users", "domain_id"), ("ldap_configs", "org_id"),
    ("role_permissions", "role_id"), ("role_permissions", "domain_id"), ("role_permissions", "org_id"),
    ("api_token_permissions", "domain_id"), ("api_token_permissions", "org_id"),
}  # fmt: skip


def test_every_reference_is_known(whole: Path) -> None:
    """A repair removes what belongs to nobody; each reference of the schema is such a one, or it is not touched."""
    with contextlib.closing(sqlite3.connect(whole)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        keys = {(table, row[3]) for table in tables for row in connection.execute(f"PRAGMA foreign_key_list({table})")}
    repaired = {(table, column) for table, (column, _) in foundation.BELONGINGS.items()}
    repaired |= {(table, column) for table, both in foundation.PAIRS.items() for column, _ in both}
    repaired |= {(table, column) for table, column, _ in foundation.REMEMBERED}
    assert not repaired & SHOWN
    assert repaired | SHOWN == keys


# The file.


@pytest.fixture
def file(whole: Path, tmp_path: Path) -> Store:
    """A copy of the file."""
    return Store.copied(whole, tmp_path)


def test_a_damaged_page(file: Store) -> None:
    """A page that was overwritten is a fault of the file. The checks that need it say that the database failed."""
    damage(Path(file.name), "fetchmail")
    found = examined(file)
    assert found["file"].state is State.WRONG
    assert "restore a backup" in found["file"].advice
    assert found["fetchmail mailboxes"].message == "The database failed meanwhile"
    assert found["user counts"].state is State.OK


def test_values_of_another_type(file: Store) -> None:
    """Where damage has put a number in the place of a text, that is a fault like any other."""
    with contextlib.closing(sqlite3.connect(file.name, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ')') WHERE name = 'tasks'")
        connection.execute("PRAGMA writable_schema = RESET")
        connection.execute("UPDATE tasks SET params = x'00', created = x'00'")
    found = examined(file)
    assert (found["documents"].state, found["times"].state) == (State.WRONG, State.WRONG)


def test_damage_that_keeps_a_file_from_being_opened(file: Store) -> None:
    """What is no database any more is a finding as well: somebody has to restore it."""
    with Path(file.name).open("r+b") as opened:
        opened.write(bytes(4096))
    (found,) = examine(file.name, file.key_file)
    assert (found.name, found.state) == ("file", State.WRONG)
    assert "restore a backup" in found.advice


def test_any_damage(file: Store) -> None:
    """Whatever stands where in the file: it is a finding, and never a traceback."""
    whole, dice = Path(file.name).read_bytes(), random.Random(3)  # noqa: S311
    for _ in range(25):
        damaged = bytearray(whole)
        for _ in range(dice.randint(1, 40)):
            place = dice.randrange(100, len(damaged) - 64)
            length = dice.choice([1, 1, 8, 64])
            damaged[place : place + length] = dice.randbytes(length)
        Path(file.name).write_bytes(damaged)
        assert {each.state for each in examine(file.name, file.key_file)} <= set(State)


def test_nothing_is_written_into_a_damaged_file(file: Store) -> None:
    """A repair might destroy more, also one of something that is not damaged."""
    file.plant("UPDATE domains SET virtual_users = 7")
    damage(Path(file.name), "fetchmail")
    before = Path(file.name).read_bytes()
    found = {each.name: each for each in examine(file.name, file.key_file, repair=True)}
    assert found["user counts"].state is State.WRONG
    assert Path(file.name).read_bytes() == before


def test_a_search_index_that_contradicts_itself(file: Store) -> None:
    """Its pages are whole, so the file is not damaged: a repair makes the index anew."""
    file.plant("UPDATE user_search_data SET block = zeroblob(length(block)) WHERE id > 10")
    assert faults(file) >= {"search structure"}
    assert "file" not in faults(file)
    examine(file.name, file.key_file, repair=True)
    assert faults(file) == set()


def test_a_repair_waits_for_nobody_for_long(file: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another program holds the lock, the repair fails and says so; it can be done later."""
    monkeypatch.setattr("postroom.storage.connections.BUSY_TIMEOUT", 0.1)
    file.plant("UPDATE domains SET virtual_users = 7")
    with contextlib.closing(sqlite3.connect(file.name, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        found = {each.name: each for each in examine(file.name, file.key_file, repair=True)}["user counts"]
        other.execute("ROLLBACK")
    assert "The repair failed (" in found.advice
    assert (found.state, found.repaired) == (State.WRONG, 0)


def test_a_file_that_was_cut_off(file: Store) -> None:
    """Half of a file is damaged."""
    with Path(file.name).open("r+b") as opened:
        opened.truncate(Path(file.name).stat().st_size // 2)
    assert examined(file)["file"].state is State.WRONG


def test_a_file_of_an_older_version(tmp_path: Path) -> None:
    """Its tables are not those of this version: only the file is examined, and nothing is brought up to date."""
    path = tmp_path / "old.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript((DATA_FILES / "schema_0001.sql").read_text("utf-8"))
    before = path.read_bytes()
    assert [(each.name, each.state) for each in examine(str(path), None)] == [
        ("file", State.OK), ("schema", State.WARNING)
    ]  # fmt: skip
    assert path.read_bytes() == before


def test_a_sqlite_with_a_bug(file: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version of SQLite that may damage a file is a warning: postroom takes care, but others may not."""
    monkeypatch.setattr(engine_of_files, "VERSION", "3.40.1")
    assert examined(file)["engine"].state is State.WARNING


def test_a_server_that_may_lose_commits(whole: Path, tmp_path: Path, postgresql_server: PostgreSQL) -> None:
    """A PostgreSQL server that does not wait for the disk is a warning."""
    found = examined(Store.copied(whole, tmp_path, postgresql_server))["engine"]
    assert (found.state, found.examples) == (State.WARNING, ("fsync = off", "full_page_writes = off"))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "There is no database"),
        (lambda path: sqlite3.connect(path).close(), "nothing in it"),
        (lambda path: path.write_bytes(b""), "nothing in it"),
        (lambda path: make_foreign(path, "CREATE TABLE other (id)"), "a database of something else"),
        (lambda path: make_foreign(path, "PRAGMA user_version = 9999"), "a newer version of postroom"),
    ],
)
def test_what_cannot_be_examined(make: Callable[[Path], object], reason: str, tmp_path: Path) -> None:
    """What is no database of this version, or of an older one, is refused with the reason."""
    make(tmp_path / "file")
    with pytest.raises(DatabaseError, match=reason):
        examine(str(tmp_path / "file"), None)


def make_foreign(path: Path, statement: str) -> None:
    """A database with something else in it."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)


def test_memory_cannot_be_examined() -> None:
    """A database in memory is that of another process, or of none."""
    with pytest.raises(DatabaseError, match="in memory"):
        examine(":memory:", None)


# Beside a service.


def names_in(folder: Path) -> set[str]:
    """The files of a folder."""
    return {path.name for path in folder.iterdir()}


async def test_nobody_notices(start_service: StartService, tmp_path: Path) -> None:
    """While a transaction writes, the database is examined as of before; nothing is left beside the file."""
    path = tmp_path / "postroom.sqlite3"
    service = await start_service(database=str(path))
    admin = await service.login("admin", ADMIN_PASSWORD)
    await admin.make_domain("example.org")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE domains SET active_users = 7")
        files = names_in(tmp_path)
        found = await asyncio.to_thread(examine, str(path), None)
        assert {each.state for each in found} == {State.OK}
        assert names_in(tmp_path) == files
        other.execute("ROLLBACK")
    await admin.make_domain("example.net")
