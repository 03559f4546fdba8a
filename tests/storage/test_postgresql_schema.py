"""PostgreSQL's schema is that of SQLite: the same tables, columns, keys, indexes and bounds."""

import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors

from postroom.storage.integrity import RULES
from postroom.storage.sqlite import sqlite3
from tests.storage.test_bounds import LARGE, UNBOUNDED
from tests.storage.test_integrity import BROKEN, INTERNAL, PREPARED
from tests.support.both_engines import (
    continue_ids,
    copy,
    make_sqlite,
    open_postgresql,
    open_sqlite,
    postgresql_tables,
    run,
    sqlite_tables,
)
from tests.support.postgresql import SUPERUSER, PostgreSQL, schema

pytestmark = pytest.mark.postgresql

TYPES = {"INTEGER": "bigint", "TEXT": "text", "ANY": "text", "BLOB": "bytea"}
REFERENCED = {"a": "NO ACTION", "c": "CASCADE", "n": "SET NULL"}
#: Columns whose length is checked for the sake of an index, and the look of a property's value.
CHECKED_HERE = {
    "orgs": 1,
    "users": 2,
    "addresses": 1,
    "properties": 1,
    "roles": 1,
    "task_items": 1,
    "grants": 1,
    "audit": 1,
}

Pg = psycopg.Connection[Any]


@pytest.fixture
async def sqlite(tmp_path: Path) -> Any:
    """An empty SQLite database."""
    path = tmp_path / "postroom.sqlite3"
    await make_sqlite(path)
    with open_sqlite(path) as connection:
        yield connection


@pytest.fixture
def postgresql(postgresql_url: str) -> Iterator[Pg]:
    """An empty PostgreSQL database."""
    with open_postgresql(postgresql_url) as connection:
        yield connection


@pytest.fixture
async def filled(postgresql_server: PostgreSQL, postgresql_url: str, tmp_path: Path) -> Any:
    """A PostgreSQL database with rows in every table."""
    await make_sqlite(tmp_path / "filled.sqlite3", filled=True)
    database = postgresql_url.split("@/")[1].split("?")[0]
    with (
        open_sqlite(tmp_path / "filled.sqlite3") as source,
        open_postgresql(postgresql_server.url(database, user=SUPERUSER)) as connection,
    ):
        copy(source, connection)
        yield connection


# Tables and columns.


def test_the_same_tables(sqlite: sqlite3.Connection, postgresql: Pg) -> None:
    """Neither engine has a table that the other lacks, but for its own."""
    assert postgresql_tables(postgresql) == sqlite_tables(sqlite)


def test_the_same_columns(sqlite: sqlite3.Connection, postgresql: Pg) -> None:
    """In the same order, of the same types, with the same defaults, NULL or not; the same IDs are made."""
    for table in sqlite_tables(sqlite):
        references = {row[3] for row in sqlite.execute(f"PRAGMA foreign_key_list({table})")}
        rows = sqlite.execute(f"PRAGMA table_xinfo({table})").fetchall()
        key = [row[1] for row in rows if row[5]]
        (sql,) = sqlite.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
        expected = [
            (
                name,
                TYPES[kind],
                not (required or is_key),
                default and default.strip("'"),
                key == [name] and kind == "INTEGER" and name not in references and "PRIMARY KEY CHECK" not in sql,
            )
            for _, name, kind, required, default, is_key, _ in rows
        ]
        found = run(
            postgresql,
            """
            SELECT column_name, data_type, is_nullable = 'YES', column_default, is_identity = 'YES'
              FROM information_schema.columns
             WHERE table_schema = 'public' AND table_name = %s
             ORDER BY ordinal_position
            """,
            (table,),
        ).fetchall()
        assert [(*row[:3], _plain(row[3]), row[4]) for row in found] == expected, table


def _plain(default: str | None) -> str | None:
    return default and re.sub(r"::\w+$", "", default).strip("'")


def test_every_text_is_compared_by_code_point(postgresql: Pg) -> None:
    """No text has the collation of the database, whatever that is."""
    rows = run(
        postgresql,
        """
        SELECT table_name, column_name, collation_name FROM information_schema.columns
         WHERE table_schema = 'public' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'
        """,
    )
    assert rows.fetchall() == []


def test_it_can_be_made_in_a_database_of_any_language(postgresql_server: PostgreSQL) -> None:
    """Names are in the order of code points also where the administrator has chosen a language."""
    if postgresql_server.admin.info.server_version < 150000:
        pytest.skip("PostgreSQL 15 is the first one with databases in any language")
    name = postgresql_server.make_database(schema(), "LOCALE_PROVIDER icu ICU_LOCALE 'de' LOCALE 'C.UTF-8'")
    with open_postgresql(postgresql_server.url(name)) as connection:
        names = "unnest(ARRAY['b', 'B', 'a', 'ä', 'z']) AS x (name)"
        run(connection, f"INSERT INTO orgs (name, key) SELECT name, name FROM {names}")
        assert [row[0] for row in run(connection, f"SELECT name FROM {names} ORDER BY name")] == list("aäbBz")
        assert [row[0] for row in run(connection, "SELECT key FROM orgs ORDER BY key")] == list("Babzä")
    postgresql_server.drop_database(name)


# Keys and indexes.


def test_the_same_references(sqlite: sqlite3.Connection, postgresql: Pg) -> None:
    """The same foreign keys with the same effect, all of them checked at the end of each statement."""
    for table in sqlite_tables(sqlite):
        rows = sqlite.execute(f"PRAGMA foreign_key_list({table})").fetchall()
        expected = {(source, parent, target, effect) for _, _, parent, source, target, _, effect, _ in rows}
        found = run(
            postgresql,
            """
            SELECT a.attname, c.confrelid::regclass::text, b.attname, c.confdeltype, c.condeferrable
              FROM pg_constraint c
              JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
              JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = c.confkey[1]
             WHERE c.contype = 'f' AND c.conrelid = %s::regclass
            """,
            (table,),
        ).fetchall()
        assert {(*row[:3], REFERENCED[row[3]]) for row in found} == expected, table
        assert not any(row[4] for row in found), table


def sqlite_indexes(connection: sqlite3.Connection, table: str) -> Iterator[tuple[str, bool, tuple[str, ...], bool]]:
    """(name, whether it is unique, columns, whether it is partial); the columns with those that SQLite adds by itself.

    The key of a table is one of them, the ID as well.
    """
    rows = connection.execute(f"PRAGMA table_xinfo({table})").fetchall()
    key = [row[1] for row in rows if row[5]]
    for _, name, unique, _, partial in connection.execute(f"PRAGMA index_list({table})").fetchall():
        of_index = connection.execute(f"PRAGMA index_xinfo({name})").fetchall()
        own = [row for row in of_index if row[5] or not unique]
        names = tuple(key[0] if row[1] == -1 else row[2] or "expression" for row in own)
        yield name, bool(unique), names, bool(partial)
    if not any(row[1] for row in connection.execute(f"PRAGMA index_list({table})") if row[3] == "pk"):
        yield "", True, tuple(key), False


def postgresql_indexes(connection: Pg, table: str) -> Iterator[tuple[str, bool, tuple[str, ...], bool]]:
    """The same of PostgreSQL."""
    rows = run(
        connection,
        """
        SELECT c.relname, i.indisunique, i.indpred IS NOT NULL,
               array(SELECT coalesce(a.attname, 'expression')
                       FROM unnest(i.indkey) WITH ORDINALITY k (number, place)
                       LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number > 0
                      ORDER BY k.place)
          FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
         WHERE i.indrelid = %s::regclass
        """,
        (table,),
    )
    for name, unique, partial, names in rows.fetchall():
        yield name, unique, tuple(names), partial


def test_the_same_keys(sqlite: sqlite3.Connection, postgresql: Pg) -> None:
    """The same columns are unique, by themselves or for some of the rows."""
    for table in sqlite_tables(sqlite):
        expected = sorted(row[2:] for row in sqlite_indexes(sqlite, table) if row[1])
        assert sorted(row[2:] for row in postgresql_indexes(postgresql, table) if row[1]) == expected, table


def test_the_same_indexes(sqlite: sqlite3.Connection, postgresql: Pg) -> None:
    """Every other index has the same name, and all columns that SQLite has in it."""
    for table in sqlite_tables(sqlite):
        expected = {
            (name, names, partial) for name, unique, names, partial in sqlite_indexes(sqlite, table) if not unique
        }
        found = {
            (name, names, partial)
            for name, unique, names, partial in postgresql_indexes(postgresql, table)
            if not unique
        }
        if table == "properties":
            # The text is cut, and the user alone is as good as the row.
            expected = {("properties_by_value", ("domain_id", "tag", "number", "expression", "user_id"), True)}
        assert found == expected, table


def rule_name(table: str, constraint: str) -> str:
    """`addresses`, `addresses_key_key_mail` -> `addresses.key`, as SQLite says it."""
    found = re.fullmatch(rf"{table}_(.+?)_p?key(_\w+)?", constraint)
    assert found, constraint
    return f"{table}.{found[1]}"


def test_the_name_of_a_unique_key_says_what_it_is_about(postgresql: Pg) -> None:
    """From the name of each unique key follows its first column, as in a message of SQLite."""
    keys = set()
    for table in [*postgresql_tables(postgresql), "schema_version", "user_search"]:
        for name, unique, names, _ in postgresql_indexes(postgresql, table):
            if unique and names[0] != "expression":
                assert rule_name(table, name) == f"{table}.{names[0]}"
                keys.add(rule_name(table, name))
    numbered = {name for name in keys if name.endswith(".id")}
    assert {name for name in RULES if "." in name} <= keys
    # What no input can offend: besides INTERNAL, a key that is the user's or a fixed one.
    own = {"schema_version.program", "user_search.user_id", "user_search.rowid", "search_due.user_id"}
    own |= {"forwards.user_id", "oof.user_id"}
    assert keys - numbered - own - set(RULES) == {name for name in INTERNAL if "." in name}


@pytest.mark.parametrize(("sql", "field"), BROKEN)
def test_broken_rule(postgresql: Pg, sql: str, field: str) -> None:
    """What a broken rule is called leads to the same field as on SQLite."""
    run(postgresql, PREPARED)
    continue_ids(postgresql)
    with pytest.raises(psycopg.IntegrityError) as caught:
        run(postgresql, sql)
    told = caught.value.diag
    name = str(told.message_primary)
    if isinstance(caught.value, errors.UniqueViolation):
        name = rule_name(str(told.table_name), str(told.constraint_name))
    assert field in RULES.get(name, ("", ""))[0]
    assert bool(field) == (name in RULES)


# Values.


def test_the_same_number_of_checks(sqlite: sqlite3.Connection, postgresql: Pg) -> None:
    """Neither engine has a bound that the other lacks."""
    for table in sqlite_tables(sqlite):
        (sql,) = sqlite.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
        found = run(
            postgresql,
            "SELECT count(*) FROM pg_constraint WHERE contype = 'c' AND conrelid = %s::regclass",
            (table,),
        ).fetchone()
        assert found == (len(re.findall(r"\bCHECK\b", sql)) + CHECKED_HERE.get(table, 0),), table


def numbers(connection: Pg) -> list[tuple[str, str]]:
    """(table, column) of every number that is neither a key nor refers to one."""
    rows = run(
        connection,
        """
        SELECT c.table_name, c.column_name
          FROM information_schema.columns c
         WHERE c.table_schema = 'public' AND c.data_type = 'bigint' AND c.table_name <> 'user_search'
           AND NOT EXISTS (SELECT 1 FROM pg_constraint k
                             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
                            WHERE k.conrelid = c.table_name::regclass AND a.attname = c.column_name
                              AND (k.contype = 'f' OR (k.contype = 'p' AND cardinality(k.conkey) = 1)))
        """,
    )
    return [(table, column) for table, column in rows.fetchall()]


@pytest.mark.parametrize("value", [-1, "x", "1.5", 99, b"1", 2**63 - 1])
def test_nonsense_is_refused_by_every_column(filled: Pg, value: object) -> None:
    """Negative numbers, texts, fractions, bytes and numbers that are none of the few allowed cannot be stored."""
    taken, tried = [], 0
    for table, column in numbers(filled):
        name = f"{table}.{column}"
        large = LARGE | {"schema_version.version"}
        if isinstance(value, int) and (name in UNBOUNDED or (value == 99 and name in large)):
            continue
        if value == 2**63 - 1 and name in large - {"addresses.magic", "properties.tag"}:
            continue
        where = "kind = 'integer' AND multi = 0" if table == "properties" else "TRUE"
        tried += run(filled, f"SELECT 1 FROM {table} WHERE {where} LIMIT 1").rowcount
        try:
            if run(filled, f"UPDATE {table} SET {column} = %s WHERE {where}", (value,)).rowcount:
                taken.append(name)
        except (psycopg.IntegrityError, psycopg.DataError, errors.DatatypeMismatch):
            pass
    assert taken == []
    assert tried > 20


VALUES = [
    ("integer", 0, "12", 12, True),
    ("integer", 0, "-3", -3, True),
    ("integer", 0, "12", 13, False),
    ("integer", 0, "012", 12, False),
    ("integer", 0, "x", None, False),
    ("boolean", 0, "1", 1, True),
    ("boolean", 0, "true", 1, False),
    ("integer", 1, "[1, 2]", None, True),
    ("integer", 1, "1", None, False),
    ("text", 1, '["a"]', None, True),
    ("text", 1, '{"a": 1}', None, False),
    ("text", 1, "a", None, False),
    ("text", 0, "a", None, True),
    ("text", 0, "1", 1, False),
    ("binary", 0, "AAEC", None, True),
]


@pytest.mark.parametrize(("kind", "multi", "value", "number", "fits"), VALUES)
def test_the_value_of_a_property(
    postgresql: Pg, kind: str, multi: int, value: str, number: int | None, fits: bool
) -> None:
    """A number is stored as its digits, several values as a JSON array, and nothing else."""
    run(postgresql, "INSERT INTO users (id, username) VALUES (0, 'admin')")
    insert = (
        "INSERT INTO properties (user_id, tag, name, kind, multi, value, number) VALUES (0, 1, 'a', %s, %s, %s, %s)"
    )
    if fits:
        assert run(postgresql, insert, (kind, multi, value, number)).rowcount == 1
    else:
        with pytest.raises((psycopg.IntegrityError, psycopg.DataError)):
            run(postgresql, insert, (kind, multi, value, number))


def test_the_longest_texts_fit_into_the_indexes(postgresql: Pg) -> None:
    """Also when nothing can be compressed. A byte more than fits is refused by a CHECK."""
    run(postgresql, "INSERT INTO domains (id, domainname, displayname, max_user) VALUES (1, 'a.org', 'a.org', 9)")
    long = secrets.token_urlsafe(2048)[:2048]
    run(postgresql, "INSERT INTO users (id, domain_id, username, ldap_id) VALUES (1, 1, %s, %s)", (long, long))
    address = "INSERT INTO addresses (user_id, kind, address, key) VALUES (1, 'username', 'a', %s)"
    run(postgresql, address, (long,))
    with pytest.raises(errors.CheckViolation):
        run(postgresql, address, (f"{long}x",))
    text = "".join(chr(0x20000 + secrets.randbelow(0x8000)) for _ in range(32_767))
    assert len(text.encode()) == 4 * 32_767
    run(
        postgresql,
        """
        INSERT INTO properties (domain_id, user_id, tag, name, kind, value, folded)
        VALUES (1, 1, 4294967295, 'a', 'text', %s, %s)
        """,
        (text, text),
    )


def test_the_values_of_sqlite_fit(filled: Pg) -> None:
    """Rows of an SQLite database can be stored as they are, and all references hold."""
    assert run(filled, "SELECT count(*) > 20 FROM properties").fetchone() == (True,)
    for table in postgresql_tables(filled):
        for column, parent in run(
            filled,
            """
            SELECT a.attname, c.confrelid::regclass::text
              FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
             WHERE c.contype = 'f' AND c.conrelid = %s::regclass
            """,
            (table,),
        ).fetchall():
            lost = run(filled, f"SELECT {column} FROM {table} EXCEPT SELECT id FROM {parent}").fetchall()
            assert [row for row in lost if row != (None,)] == [], table
