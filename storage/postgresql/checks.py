"""Checks of a PostgreSQL database itself: its server, its references, its schema."""

import contextlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from postroom.storage.checks import foundation, search
from postroom.storage.checks.findings import NEWER, Check, State, UnexaminedError
from postroom.storage.keyring import Keyring
from postroom.storage.postgresql.connection import Connection
from postroom.storage.postgresql.migrating import find_version, latest, make_elsewhere, prepare
from postroom.storage.postgresql.opening import connect
from postroom.storage.user_search import ROW_ID, TEXTS

#: Settings of a server that may lose or damage what it has stored, and what they have to be.
_SAFE: Final = ("fsync", "full_page_writes")

#: All but that of the search index, which has a check of its own.
_FOREIGN_KEYS: Final = """
    SELECT conrelid::regclass::text, confrelid::regclass::text, a.attname::text, p.attname::text
      FROM pg_constraint
      JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = conkey[1]
      JOIN pg_attribute p ON p.attrelid = confrelid AND p.attnum = confkey[1]
     WHERE contype = 'f' AND connamespace = current_schema()::regnamespace
       AND conrelid <> 'user_search'::regclass
     ORDER BY 1, 3
"""
#: Everything that the schema is made of: what, its name, and how it is.
_SCHEMA: Final = """
    SELECT 'table ' || relname, ''
      FROM pg_class WHERE relkind IN ('r', 'v', 'p') AND relnamespace = current_schema()::regnamespace
    UNION ALL
    SELECT 'column ' || relname || '.' || attname,
           format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END || attgenerated::text
      FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
     WHERE attnum > 0 AND NOT attisdropped AND relkind = 'r' AND relnamespace = current_schema()::regnamespace
    UNION ALL
    SELECT 'index ' || relname, replace(pg_get_indexdef(oid), quote_ident(current_schema()) || '.', '')
      FROM pg_class WHERE relkind = 'i' AND relnamespace = current_schema()::regnamespace
    UNION ALL
    SELECT 'constraint ' || conname, replace(pg_get_constraintdef(oid), quote_ident(current_schema()) || '.', '')
      FROM pg_constraint WHERE contype IN ('c', 'f', 'p', 'u') AND connamespace = current_schema()::regnamespace
    UNION ALL
    SELECT 'trigger ' || relname || '.' || tgname, tgenabled::text || ' '
           || replace(pg_get_triggerdef(pg_trigger.oid), quote_ident(current_schema()) || '.', '')
      FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
     WHERE NOT tgisinternal AND relnamespace = current_schema()::regnamespace
    UNION ALL
    SELECT 'function ' || proname || '(' || pg_get_function_identity_arguments(pg_proc.oid) || ')', prosrc
      FROM pg_proc
     WHERE pronamespace = current_schema()::regnamespace
       AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
"""
#: Where the schema of this version is made for a moment.
_SCRATCH: Final = "postroom_examined"


@contextlib.contextmanager
def opened(url: str, keyring: Keyring) -> Iterator[Connection]:
    """A connection whose transactions see the state of one moment. Raises DatabaseError, WrongDatabaseError."""
    with contextlib.closing(connect(url, keyring, kind="searches")) as connection:
        connection.set_up()
        connection.raw.execute("SET default_transaction_isolation = 'repeatable read'")
        connection.raw.execute("SET statement_timeout = 0")
        prepare(connection, url, create=False)
        yield connection


def _find_unsafe_settings(connection: Any) -> Iterator[str]:
    for name in _SAFE:
        (value,) = connection.execute(f"SELECT current_setting('{name}')").fetchone()
        if value != "on":
            yield f"{name} = {value}"


def _find_lost_references(connection: Any) -> Iterator[str]:
    for child, parent, column, key in connection.execute(_FOREIGN_KEYS).fetchall():
        sql = (
            f"SELECT DISTINCT CAST(c.{column} AS text) FROM {child} c"
            f" WHERE c.{column} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE p.{key} = c.{column})"
        )
        for (value,) in connection.execute(sql):
            yield f"{child} refers to {value} of {parent}"


def _compare(connection: Connection) -> tuple[dict[str, str], dict[str, str]]:
    """What is there, and what this version makes."""
    version = find_version(connection)
    if version > latest():
        raise UnexaminedError(NEWER.format(version))
    return _list_schema(connection), _wanted(connection)


@lru_cache(maxsize=1)
def _wanted(connection: Connection) -> dict[str, str]:
    """The schema as this version makes it: made for a moment, and rolled back. Two checks of a connection need it."""
    connection.execute("ROLLBACK")
    connection.execute("BEGIN READ WRITE")
    try:
        if not make_elsewhere(connection, _SCRATCH):
            raise UnexaminedError("this user may not create a schema to compare with (GRANT CREATE ON DATABASE)")
        return _list_schema(connection)
    finally:
        connection.execute("ROLLBACK")
        connection.execute("BEGIN")


def _list_schema(connection: Connection) -> dict[str, str]:
    return dict(connection.execute(_SCHEMA).fetchall())


def _set_last_id(connection: Connection, table: str, last: int) -> None:
    connection.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {last})")


def _find_ids(connection: Connection, table: str) -> tuple[int, int]:
    """The largest ID that exists, and the last one that was given."""
    largest, last = connection.execute(
        f"SELECT (SELECT coalesce(max(id), 0) FROM {table}),"
        f" (SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM {table}_id_seq)"
    ).fetchone()
    return largest, last


def _find_wrong_search_rows(connection: Any) -> Iterator[int]:
    sql = f"""
        SELECT * FROM (
            SELECT {ROW_ID} AS wanted, {", ".join(f"{text} AS {column}" for column, text in TEXTS.items())}
              FROM users u WHERE u.domain_id IS NOT NULL
        ) u FULL JOIN (SELECT rowid AS found, {", ".join(TEXTS)} FROM user_search) x ON x.found = u.wanted
         WHERE {" OR ".join(f"x.{column} IS DISTINCT FROM u.{column}" for column in TEXTS)}
    """
    for wanted, *rest in connection.execute(sql):
        texts, found, stored = rest[: len(TEXTS)], rest[len(TEXTS)], rest[len(TEXTS) + 1 :]
        # The lines of a column are in no certain order.
        if wanted is None or found is None or [*map(_lines, texts)] != [*map(_lines, stored)]:
            yield wanted if found is None else found


def _lines(text: str) -> list[str]:
    return sorted(text.split("\n"))


CHECKS: Final = (
    Check(
        foundation.GROUP,
        "engine",
        promise="The server keeps what it acknowledges",
        fault="settings with which the server may lose data",
        find=_find_unsafe_settings,
        advice="Set these to on in postgresql.conf",
        state=State.WARNING,
    ),
    *foundation.checks(_compare, _find_lost_references, _find_ids, _set_last_id),
)
#: Behind all others: their repairs change what is searched.
SEARCH: Final = search.checks(_find_wrong_search_rows, lambda connection: connection.execute("DELETE FROM user_search"))
