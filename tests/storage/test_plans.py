"""How SQLite runs the hot statements: by index, whatever the size of the domain."""

import pytest

from postroom.storage import create_defaults, devices, grants, oof, store_access, users
from postroom.storage.auth import _SELECT as SELECT_ACCOUNT
from postroom.storage.database import Database
from postroom.storage.user_list import UserQuery, list_statement

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
    ],
)
async def test_rooms_are_read_by_key(database: Database, sql: str, params: list[object]) -> None:
    """Each room of a mailbox is one statement that looks up by key."""
    lines = await plan(database, sql, params)
    assert not scans(lines), lines
