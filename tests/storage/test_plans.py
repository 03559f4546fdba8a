"""How SQLite runs the hot statements: by index, whatever the size of the domain."""

from itertools import product
from typing import Any

import pytest

from postroom.schemas.values.queries import Cursor, UserQuery
from postroom.storage import create_defaults, devices, disabled_plugins, grants, ldap_users, oof, store_access, users
from postroom.storage.auth import _SELECT as SELECT_ACCOUNT
from postroom.storage.database import Database
from postroom.storage.sqlite import sqlite3
from postroom.storage.user_list import list_statement

pytestmark = pytest.mark.sqlite

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
TABLES = ("users", "addresses", "properties", "fetchmail", "domains", "create_defaults", "u", "a", "p", "d", "h")


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


DISPLAY_NAME, DISPLAY_TYPE = 0x3001001F, 0x39050003
#: What clients combine: searches, filters and orders.
WORDS: list[dict[str, Any]] = [
    {},
    {"words": ["smith"]},
    {"words": ["sm"], "match_tags": [DISPLAY_NAME]},
    {"words": ["smith", "jo", "1"]},
]
FILTERS: list[dict[str, Any]] = [
    {},
    {"status": [0]},
    {"status": [4]},
    {"filter_tags": [(DISPLAY_TYPE, [0, 7, 8])]},
    {"filter_tags": [(DISPLAY_NAME, ["john smith 1"])], "status": [0, 1]},
]
ORDERS: list[dict[str, Any]] = [
    {"sort": [(key, descending)]}
    for key, descending in product(("ID", "username", "status", DISPLAY_NAME, DISPLAY_TYPE), (False, True))
]
PAGES: list[dict[str, Any]] = [{}, {"level": 2}, {"offset": 60, "limit": 1000}, {"property_tags": [DISPLAY_NAME]}]
COMBINED = [
    UserQuery(**words, **filters, **order, **page)
    for words in WORDS
    for filters in FILTERS
    for order in [{}, *ORDERS]
    for page in PAGES
]
#: The same from a cursor on, forwards and backwards.
AT_CURSORS = [
    UserQuery(**words, **filters, level=level, sort=[("ID", True)] * is_descending, cursor=Cursor(50, is_after))
    for words in WORDS
    for filters in FILTERS
    for level, is_descending, is_after in product((1, 2), (0, 1), (False, True))
]
#: The index has those who share a value in the order of their IDs, which is the wrong one when the values descend.
UNORDERED = [{"sort": [(key, True)]} for key in ("status", DISPLAY_TYPE)]
#: Pages that an index of the domain has in order, and whose count is kept.
USUAL: dict[str, Any] = {"filter_tags": [(DISPLAY_TYPE, [0, 7, 8])], "status": [0, 4]}
ORDERED = [
    UserQuery(status=[0]),
    *(UserQuery(**order, **USUAL) for order in [{}, *ORDERS] if order not in UNORDERED),
    *(UserQuery(status=[0], sort=[("username", descending)]) for descending in (False, True)),
    *(UserQuery(**order) for order in [{}, *ORDERS] if order not in UNORDERED),
]


#: Each token of a search is looked up in each segment of the index, of which a larger one has a few more. To read the
#: large domain would be thousands.
OF_SEGMENTS = 300


def add_users(connection: sqlite3.Connection, domain: int, number: int) -> None:
    """A domain of people of a few names, without the way through Python."""
    connection.execute(
        "INSERT INTO domains (id, domainname, displayname, max_user) VALUES (?, 'd' || ?, '', 99999)", (domain, domain)
    )
    connection.execute(
        """WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?)
           INSERT INTO users (domain_id, username, status)
           SELECT ?, iif(i % 30, 'ann.jones', 'john.smith') || i || '@d' || ?, iif(i % 50, 0, 4) FROM n""",
        (number, domain, domain),
    )
    connection.execute(
        """INSERT INTO addresses (user_id, kind, address, key)
           SELECT id, 'username', username, username FROM users WHERE domain_id = ?""",
        (domain,),
    )
    for tag, name, kind, value in ((DISPLAY_NAME, "displayname", "text", "replace(username, '.', ' ')"),
                                   (DISPLAY_TYPE, "displaytypeex", "integer", "0")):  # fmt: skip
        number_or_text = "NULL, v" if kind == "text" else "v, NULL"
        connection.execute(
            f"""INSERT INTO properties (domain_id, user_id, tag, name, kind, value, number, folded)
                SELECT domain_id, id, ?, ?, ?, v, {number_or_text}
                  FROM (SELECT domain_id, id, {value} AS v FROM users WHERE domain_id = ?)""",
            (tag, name, kind, domain),
        )


def count_steps(connection: sqlite3.Connection, domain: int | None, query: UserQuery) -> int:
    """Tens of steps of SQLite's virtual machine for a page."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    statement = list_statement(domain, query)
    connection.set_progress_handler(count, 10)
    try:
        assert connection.execute(*statement).fetchone() is not None
    finally:
        connection.set_progress_handler(None, 0)
    return steps


@pytest.mark.parametrize("analyzed", [False, True])
async def test_a_domain_costs_the_same_beside_a_large_one(database: Database, *, analyzed: bool) -> None:
    """Whatever clients combine takes as many steps beside 200 times as many users as alone, with statistics or not."""

    def steps_of_all(connection: sqlite3.Connection) -> list[int]:
        connection.create_function("is_room", 1, bool)
        return [count_steps(connection, 1, query) for query in asked]

    asked = [*COMBINED, *AT_CURSORS]

    await database.write(add_users, 1, 100)
    alone = await database.write(steps_of_all)
    await database.write(add_users, 2, 20_000)
    if analyzed:
        await database.write(lambda connection: connection.execute("ANALYZE").close())
    beside = await database.write(steps_of_all)
    dearer = [
        (query, one, other)
        for query, one, other in zip(asked, alone, beside, strict=True)
        if other > 1.2 * one + OF_SEGMENTS
    ]
    assert dearer == []


async def test_a_page_in_order_stops_after_it(database: Database) -> None:
    """The first page of a domain of 20,000 takes as many steps as that of 100, in every order that has an index."""
    await database.write(add_users, 1, 100)
    await database.write(add_users, 2, 20_000)
    of_both = [[await database.write(count_steps, domain, query) for domain in (1, 2)] for query in ORDERED]
    dearer = [(query, steps) for query, steps in zip(ORDERED, of_both, strict=True) if steps[1] > 1.2 * steps[0] + 20]
    assert dearer == []


@pytest.mark.parametrize("domain", [2, None])
async def test_a_page_deep_inside_costs_what_the_first_one_does(database: Database, domain: int | None) -> None:
    """From a cursor in the middle or near the end a page takes as many steps as from the beginning, in both directions,
    and more of them only if what is sought is found further apart there.
    """
    await database.write(add_users, 1, 100)
    await database.write(add_users, 2, 20_000)
    dearer = []
    for words, filters in product(WORDS if domain else WORDS[:1], FILTERS if domain else FILTERS[:1]):
        asked = [
            UserQuery(**words, **filters, limit=20, cursor=Cursor(at, is_after))
            for at, is_after in ((100, True), (10_000, True), (19_000, True), (19_000, False), (10_000, False))
        ]
        first, *deeper = [await database.write(count_steps, domain, query) for query in asked]
        dearer += [
            (query, first, steps) for query, steps in zip(asked[1:], deeper, strict=True) if steps > 1.2 * first + 20
        ]
    assert dearer == []


@pytest.mark.parametrize("query", [*COMBINED[::7], *AT_CURSORS[::3]])
async def test_nothing_is_read_whole(database: Database, query: UserQuery) -> None:
    """No combination reads a whole table in a domain, nor more of the search index than its rows of the domain."""
    lines = await plan(database, *list_statement(1, query))
    assert not scans(lines), lines
    assert all(line.endswith("><") for line in lines if "VIRTUAL TABLE" in line), lines


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
