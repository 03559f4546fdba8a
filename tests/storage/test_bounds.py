"""What is a number has its bounds in the schema itself: no code path can store another."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from postroom.storage.database import Database
from postroom.storage.sqlite import sqlite3

pytestmark = pytest.mark.sqlite

#: Any whole number is one of these.
UNBOUNDED = {"properties.number", "display_type_counts.display_type"}
#: 99 is as good as any other number in these: counts, times, IDs, versions, codes of HTTP are checked otherwise.
LARGE = {
    "addresses.magic", "auth_generation.value", "compatibility.oldest_schema", "devices.first_sync_time",
    "devices.folders_syncable",
    "devices.folders_synced", "devices.last_connect_time", "devices.last_update_time",
    "display_type_counts.users", "domains.active_users",
    "domains.inactive_users", "domains.max_user", "domains.token_epoch",
    "domains.virtual_users", "grants.position", "properties.number",
    "properties.domain_id", "properties.tag",
    "task_items.domain_id", "task_items.user_id", "tasks.pid", "tasks.seen", "users.kept_epoch",
    "users.token_epoch",
    "wipe_history.time",
}  # fmt: skip


@pytest.fixture
async def filled(tmp_path: Path) -> Path:
    """A database of this version with rows in every table."""
    path = tmp_path / "postroom.sqlite3"
    script = (Path(__file__).parents[1] / "data" / "schema_0001.sql").read_text("utf-8")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    await (await Database.open(str(path))).close()
    return path


@contextlib.contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection without foreign keys: what is refused is refused by the column itself."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def numbers(connection: sqlite3.Connection) -> Iterator[tuple[str, str, str]]:
    """(table, column, SQL of the table) of every number that is neither a key nor refers to one."""
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
    )
    for table, sql in rows.fetchall():
        if table.startswith("sqlite_") or "_search_" in table:
            continue
        references = {row[3] for row in connection.execute(f"PRAGMA foreign_key_list({table})")}
        columns = connection.execute(f"PRAGMA table_xinfo({table})").fetchall()
        single_key = [column[1] for column in columns if column[5]]
        for _, column, kind, _, _, key, _ in columns:
            is_id = bool(key) and single_key == [column]
            if "INT" in kind.upper() and column not in references and not is_id:
                yield table, column, sql


async def test_every_number_has_a_check(filled: Path) -> None:
    """A column for numbers that is no key has a CHECK that names it."""
    with connected(filled) as connection:
        found = list(numbers(connection))
    assert len(found) > 40
    assert [f"{table}.{column}" for table, column, sql in found if not checked(column, sql)] == []


def checked(column: str, sql: str) -> bool:
    """Whether a CHECK is about the column."""
    return any(column in part.split("\n")[0] for part in sql.split("CHECK")[1:])


@pytest.mark.parametrize("value", [-1, "x", 1.5, 99, b"1", 2**63 - 1])
async def test_nonsense_is_refused_by_every_column(filled: Path, value: object) -> None:
    """Negative numbers, texts, fractions, bytes and numbers that are none of the few allowed cannot be stored."""
    taken, tried = [], 0
    with connected(filled) as connection:
        for table, column, _ in numbers(connection):
            name = f"{table}.{column}"
            if isinstance(value, int) and (name in UNBOUNDED or (value == 99 and name in LARGE)):
                continue
            if value == 2**63 - 1 and name in LARGE - {"addresses.magic", "properties.tag"}:
                continue
            # A number belongs to a property of numbers.
            where = "kind = 'integer' AND multi = 0" if table == "properties" else "TRUE"
            tried += connection.execute(f"SELECT EXISTS (SELECT 1 FROM {table} WHERE {where})").fetchone()[0]
            try:
                # No row is changed in a table that is younger than the old database, which has none there.
                if connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (value,)).rowcount:
                    taken.append(name)
            except sqlite3.IntegrityError:
                pass
    assert taken == []
    assert tried > 20


async def test_keys_are_numbers_as_well(filled: Path) -> None:
    """Also where a number refers to a row, a text is refused, whether or not foreign keys are checked."""
    with connected(filled) as connection:
        rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%REFERENCES%'")
        for (table,) in rows.fetchall():
            if not connection.execute(f"SELECT 1 FROM {table}").fetchone():
                continue  # of a table that is younger than the old database
            for reference in connection.execute(f"PRAGMA foreign_key_list({table})").fetchall():
                with pytest.raises(sqlite3.Error, match=r"cannot store|datatype mismatch|CHECK"):
                    connection.execute(f"UPDATE {table} SET {reference[3]} = 'x'")
