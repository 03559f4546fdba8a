"""The search index is as it should be by SQLite's own checks and by postroom's, whatever was done before."""

import contextlib
import random
from pathlib import Path

import pytest

from postroom.schemas.values import proptags
from postroom.storage import domains, properties, users
from postroom.storage.checks import search_index, sqlite
from postroom.storage.checks.examine import examine
from postroom.storage.checks.findings import State
from postroom.storage.database import Database
from postroom.storage.engine import Connection
from postroom.storage.keyring import Keyring
from postroom.storage.sqlite import sqlite3

pytestmark = pytest.mark.sqlite

LETTERS = "abcdeßäöéñ漢字-.'\"\N{GRINNING FACE}"


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A file in which users came, changed and went in random order."""
    path, dice = tmp_path / "postroom.sqlite3", random.Random(7)  # noqa: S311
    database = await Database.open(str(path))
    try:
        for number in range(3):
            await database.write(domains.insert_domain, f"{number}.example", f"{number}.example", {"maxUser": 1000})
        living: dict[int, int] = {}
        for number in range(300):
            await database.write(change, dice, number, living)
    finally:
        await database.close()
    return path


def change(connection: Connection, dice: random.Random, number: int, living: dict[int, int]) -> None:
    """Adds a user or two, changes others, and removes some."""
    domain = dice.randint(1, 3)
    added = users.insert_user(connection, domain, f"{text(dice)}{number}@{domain}.example", None)
    living[added] = domain
    for user_id in dice.sample(list(living), k=min(3, len(living))):
        names = [(f"{text(dice)}{number}-{user_id}-{each}@x.example", 0) for each in range(dice.randint(0, 3))]
        users.replace_addresses(connection, user_id, "alias", names)
        name = dice.choice(["displayname", "comment", "surname"])
        proptag = proptags.find(name)
        assert proptag is not None
        properties.write_properties(connection, user_id, {proptag: text(dice) * dice.randint(0, 20)})
    if dice.random() < 0.4:
        gone = dice.choice(list(living))
        del living[gone]
        users.delete_user(connection, gone)


def text(dice: random.Random) -> str:
    """A few letters of several scripts."""
    return "".join(dice.choices(LETTERS, k=dice.randint(1, 12)))


@pytest.mark.parametrize("rank", [0, 1])
def test_sqlite_finds_nothing(path: Path, rank: int) -> None:
    """Neither the check of the index itself nor that with the rows complains of any search index."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        sql = "SELECT name FROM sqlite_schema WHERE sql LIKE '%USING fts5%'"
        tables = [name for (name,) in connection.execute(sql)]
        assert tables == ["user_search"]
        for table in tables:
            connection.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('integrity-check', ?)", (rank,))
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_postroom_finds_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row says what is stored, also when the users are compared a few at a time."""
    assert {each.state for each in examine(str(path), None) if each.group == "Search"} == {State.OK}
    monkeypatch.setattr(search_index, "PIECE", 7)
    with sqlite.opened(str(path), Keyring(None)) as connection:
        connection.execute("BEGIN")
        assert list(search_index.find_wrong_rows(connection)) == []


def test_every_wrong_row_is_found(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In each piece, and none besides."""
    monkeypatch.setattr(search_index, "PIECE", 7)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        rows = [row for (row,) in connection.execute("SELECT id FROM user_search_docsize ORDER BY id")]
        missing, renamed = rows[3::20], [row & 0xFFFFFFFF for row in rows[5::20]]
        connection.executemany("DELETE FROM user_search WHERE rowid = ?", [(row,) for row in missing])
        connection.execute("DROP TRIGGER search_address_update")
        # As many tokens as before, but others.
        connection.executemany(
            "UPDATE addresses SET key = replace(key, 'example', 'elpmaxe') WHERE user_id = ? AND kind = 'username'",
            [(user,) for user in renamed],
        )
    with sqlite.opened(str(path), Keyring(None)) as connection:
        connection.execute("BEGIN")
        assert list(search_index.find_wrong_rows(connection)) == sorted([*missing, *rows[5::20]])


def test_an_index_that_this_connection_has_used(path: Path) -> None:
    """Others may have changed the index since: what a connection remembers of it is no fault."""
    with sqlite.opened(str(path), Keyring(None)) as connection:
        (check,) = (each for each in sqlite.SEARCH if each.name == "search structure")
        assert check.examine(connection).state is State.OK
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("INSERT INTO user_search (user_search) VALUES ('optimize')")
        assert check.examine(connection).state is State.OK
