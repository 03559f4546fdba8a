"""How SQLite runs the hot statements: by index, whatever the size of the domain."""

import pytest

from postroom.schemas.values.queries import UserQuery
from postroom.storage import create_defaults, devices, disabled_plugins, grants, ldap_users, oof, store_access, users
from postroom.storage.auth import _SELECT as SELECT_ACCOUNT
from postroom.storage.database import Database
from postroom.storage.sqlite import sqlite3
from postroom.storage.user_list import list_statement

HOT_LISTS = {
    "first page": UserQuery(),
    "level 2": UserQuery(level=2),
    "deep page": UserQuery(offset=90_000),
    "with properties": UserQuery(property_tags=[0x3001001F]),
}
SEARCHES = {
    "match": UserQuery(words=["smith"]),
    "match in a property": UserQuery(words=["smith", "john"], match_tags=[0x3001001F]),
    "by username": UserQuery(username="a@b.org"),
    "by ID": UserQuery(ids=[1, 2, 3]),
}
TABLES = ("users", "addresses", "properties", "fetchmail", "domains", "create_defaults", "u", "a", "p", "d")


async def plan(database: Database, sql: str, params: list[object]) -> list[str]:
    """The lines of EXPLAIN QUERY PLAN."""
    return [row[3] for row in await database.fetch_all(f"EXPLAIN QUERY PLAN {sql}", params)]


def scans(lines: list[str]) -> list[str]:
    """Lines that read a whole table."""
    return [line for line in lines if line.startswith("SCAN") and line.split()[1] in TABLES]


@pytest.mark.parametrize("level", [0, 1, 2])
async def test_single_read(database: Database, level: int) -> None:
    """One user is found by key, on every level."""
    lines = await plan(database, users._SELECT[level], [1, 1])
    assert not scans(lines), lines


async def test_account(database: Database) -> None:
    """What login and permissions need is found by key."""
    lines = await plan(database, f"{SELECT_ACCOUNT} WHERE u.id = ?", [1])
    assert not scans(lines), lines


@pytest.mark.parametrize("name", HOT_LISTS)
async def test_pages(database: Database, name: str) -> None:
    """A page comes off the index of the domain in its order: nothing is read whole, nothing sorted."""
    lines = await plan(database, *list_statement(1, HOT_LISTS[name]))
    assert not scans(lines), lines
    sorting = [line for line in lines if "TEMP B-TREE" in line]
    # Roles of a user are sorted by name of the role table's key, one to a few rows.
    assert len(sorting) <= (HOT_LISTS[name].level == 2), lines
    assert any("users_by_domain" in line for line in lines), lines


@pytest.mark.parametrize("name", SEARCHES)
async def test_searches_begin_at_what_is_found(database: Database, name: str) -> None:
    """A search reads what its index finds, not the users of the domain."""
    lines = await plan(database, *list_statement(1, SEARCHES[name]))
    assert not scans(lines), lines
    assert not any("users_by_domain" in line for line in lines), lines


@pytest.mark.parametrize("name", HOT_LISTS)
async def test_pages_of_all_users(database: Database, name: str) -> None:
    """A page of the users of all domains comes off the table in its order, and counts domains, not users."""
    lines = await plan(database, *list_statement(None, HOT_LISTS[name]))
    assert [line for line in scans(lines) if line != "SCAN domains"] == []
    assert any(line.startswith("SEARCH u USING INTEGER PRIMARY KEY") for line in lines), lines
    assert len([line for line in lines if "TEMP B-TREE" in line]) <= (HOT_LISTS[name].level == 2), lines


@pytest.mark.parametrize("name", SEARCHES)
async def test_searches_in_all_users(database: Database, name: str) -> None:
    """A search in all domains reads what its index finds."""
    assert scans(await plan(database, *list_statement(None, SEARCHES[name]))) == []


async def test_create_defaults(database: Database) -> None:
    """What a new user gets is found by the domain."""
    assert scans(await plan(database, create_defaults._SELECT_LAYERS, [1])) == []


async def test_a_page_is_one_statement(database: Database) -> None:
    """The whole answer of a list is the one value of one row."""
    rows = await database.fetch_all(*list_statement(1, UserQuery()))
    assert rows == []


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        (grants._SELECT, ["delegate", 1, 1]),
        (store_access._SELECT, [1, 1]),
        (oof._SELECT, [1, 1]),
        (oof._SELECT_BY_ADDRESS, ["a@b.org"]),
        (devices._SELECT_DEVICES, [1, 1]),
        (devices._SELECT_POLICIES, ["a@b.org"]),
        (devices._SELECT_INFO, ["a@b.org"]),
        (disabled_plugins._SELECT, [1]),
        (disabled_plugins._SELECT_BY_ADDRESS, ["a@b.org"]),
    ],
)
async def test_rooms_are_read_by_key(database: Database, sql: str, params: list[object]) -> None:
    """Each room of a mailbox is one statement that looks up by key."""
    lines = await plan(database, sql, params)
    assert not scans(lines), lines


async def test_devices_that_were_seen_last(database: Database) -> None:
    """The devices of all users come off their index in order: none is read that is not shown, nothing is sorted."""
    lines = await plan(database, devices._SELECT_SEEN_LAST, [0, 1000])
    assert any("SEARCH d USING INDEX devices_by_contact" in line for line in lines), lines
    assert not scans(lines), lines
    assert not any("TEMP B-TREE" in line for line in lines), lines


def looked_up(connection: sqlite3.Connection) -> None:
    """Everything that is asked about names and about users of a directory."""
    users.is_address_taken(connection, "a@b.org", 1)
    users.is_username_an_altname(connection, "a@b.org", 1)
    users.is_altname_taken(connection, "a", None)
    users.find_user_of_object(connection, 1, "x")
    ldap_users.list_linked(connection, ["x", "y"], [1, 2])
    ldap_users.list_owners(connection, ["a@b.org", "a"])
    ldap_users.find_stored_user(connection, 1)
    # As the triggers ask that keep altnames and usernames apart.
    for kind in ("username", "altname"):
        connection.execute("SELECT 1 FROM addresses WHERE key = ? AND kind = ? AND user_id <> ?", ("a", kind, 1))


async def test_names_and_links_are_looked_up_by_key(database: Database) -> None:
    """Nothing that a login, a new user or an update from the directory asks about names reads them all."""

    def explained(connection: sqlite3.Connection) -> list[str]:
        asked: list[str] = []
        connection.set_trace_callback(asked.append)
        looked_up(connection)
        connection.set_trace_callback(None)
        assert len(asked) > 8
        plans = [connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall() for sql in asked]
        return scans([row[3] for rows in plans for row in rows])

    assert await database.read(explained) == []
    names = "SELECT user_id FROM addresses WHERE key = ? AND kind IN ('username', 'altname')"
    assert scans(await plan(database, f"{SELECT_ACCOUNT} WHERE u.id = ({names})", ["a"])) == []
