"""PostgreSQL's triggers do what those of SQLite do: the same statements lead to the same rows and refusals."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from postroom.storage.sqlite import sqlite3
from tests.support.both_engines import columns, make_sqlite, open_postgresql, open_sqlite, run
from tests.support.postgresql import PostgreSQL, schema

pytestmark = pytest.mark.postgresql

#: The tables that triggers change; search_due and auth_generation are looked at by themselves.
TABLES = ("domains", "users", "addresses", "grants", "user_roles", "role_permissions", "properties", "fetchmail",
          "display_type_counts", "api_tokens", "api_token_permissions", "sessions", "tasks")  # fmt: skip

#: PostgreSQL needs no trigger for it: the search row refers to its user.
ONLY_SQLITE = {"search_user_delete"}

ADDRESS = "INSERT INTO addresses (id, user_id, kind, address, key) VALUES"
PROPERTY = "INSERT INTO properties (id, user_id, tag, name, kind, value, number, folded) VALUES"
TYPE = "INSERT INTO properties (id, domain_id, user_id, tag, name, kind, value, number) VALUES"
UPSERT = """
    ON CONFLICT (user_id, tag) DO UPDATE
            SET value = excluded.value, number = excluded.number, folded = excluded.folded
"""
FETCHMAIL = """
    INSERT INTO fetchmail (id, user_id, mailbox, active, src_server, src_auth, src_user, src_folder, fetchall, keep,
                           protocol, use_ssl, ssl_cert_check, date, src_password)
    VALUES (1, 1, '', 1, '', '', '', '', 0, 0, '', 0, 0, '',"""

TOKEN = "INSERT INTO api_tokens (id, user_id, name, hash, scoped, read_only, networks, created) VALUES"
SESSION = """
    INSERT INTO sessions (session_id, user_id, epoch, created, last_used, expires, source, user_agent) VALUES
"""

STATEMENTS = [
    "INSERT INTO orgs (id, name, key) VALUES (1, 'Firm', 'firm')",
    "INSERT INTO domains (id, org_id, domainname, displayname, max_user) VALUES (1, 1, 'a.org', 'a.org', 9)",
    "INSERT INTO domains (id, domainname, displayname, max_user) VALUES (2, 'b.org', 'b.org', 9)",
    # Counters, by status; users whose names are free.
    "INSERT INTO users (id, username) VALUES (0, 'admin')",
    """INSERT INTO users (id, domain_id, username, status)
       VALUES (1, 1, 'u1', 0), (2, 1, 'u2', 0), (3, 1, 'u3', 1), (4, 1, 'u4', 4), (5, 1, 'contact-5', 5),
              (6, 1, 'u6', 3), (7, 2, 'u7', 0), (8, 2, 'u8', 2)""",
    "UPDATE users SET status = 1 WHERE id = 1",
    "UPDATE users SET status = 0 WHERE id = 1",
    "UPDATE users SET status = 4 WHERE id = 7",
    "UPDATE users SET status = 2 WHERE id = 3",
    "UPDATE users SET status = 2 WHERE id = 3",
    "UPDATE users SET lang = 'de_DE' WHERE id = 1",
    "UPDATE users SET domain_id = 2 WHERE id = 1",
    "UPDATE users SET domain_id = 1 WHERE id = 1",
    # Names.
    f"{ADDRESS} (1, 1, 'username', 'u1', 'u1'), (2, 1, 'alias', 'x@a.org', 'x@a.org'), (3, 2, 'altname', 'U2', 'u2')",
    "DELETE FROM search_due",
    f"{ADDRESS} (4, 2, 'altname', 'U1', 'u1')",
    f"{ADDRESS} (5, 1, 'altname', 'U1', 'u1')",
    f"{ADDRESS} (6, 3, 'username', 'u2', 'u2')",
    f"{ADDRESS} (7, 5, 'username', 'u2', 'u2')",
    f"{ADDRESS} (8, 4, 'username', 'u4', 'u4'), (9, 6, 'altname', 'u4', 'u4')",
    f"{ADDRESS} (10, 5, 'username', 'contact-5', 'contact-5')",
    f"{ADDRESS} (11, 1, 'altname', 'contact-5', 'contact-5')",
    "DELETE FROM search_due",
    "UPDATE addresses SET key = 'x2@a.org' WHERE id = 2",
    "DELETE FROM search_due",
    "UPDATE addresses SET magic = 99 WHERE id = 3",
    "DELETE FROM addresses WHERE id IN (2, 3)",
    "DELETE FROM search_due",
    # Grants to somebody who comes later.
    """INSERT INTO grants (user_id, kind, position, address, key)
       VALUES (1, 'sendas', 0, 'new@a.org', 'new@a.org'), (7, 'sendas', 0, 'new@a.org', 'new@a.org'),
              (2, 'delegate', 0, 'nick', 'nick')""",
    f"{ADDRESS} (12, 2, 'altname', 'nick', 'nick')",
    f"{ADDRESS} (13, 3, 'alias', 'new@a.org', 'new@a.org')",
    "DELETE FROM search_due",
    # Properties.
    f"{PROPERTY} (1, 1, 1, 'a', 'integer', '1', 1, NULL)",
    f"{PROPERTY} (2, 1, 2, 'b', 'text', 'B', NULL, 'b')",
    f"{PROPERTY} (3, 2, 2, 'b', 'text', 'B', NULL, 'b'), (4, 3, 1, 'a', 'integer', '1', 1, NULL)",
    "DELETE FROM search_due",
    f"{PROPERTY} (5, 1, 1, 'a', 'integer', '2', 2, NULL) {UPSERT}",
    f"{PROPERTY} (6, 1, 2, 'b', 'text', 'C', NULL, 'c') {UPSERT}",
    "DELETE FROM search_due",
    "UPDATE properties SET folded = 'd' WHERE id = 2",
    "DELETE FROM search_due",
    "DELETE FROM properties WHERE id = 1",
    "DELETE FROM properties WHERE id = 2",
    "DELETE FROM search_due",
    # The numbers of users by display type.
    f"{TYPE} (20, 1, 1, 956628995, 'displaytypeex', 'integer', '0', 0)",
    f"{TYPE} (21, 1, 2, 956628995, 'displaytypeex', 'integer', '0', 0)",
    f"{TYPE} (22, 1, 3, 956628995, 'displaytypeex', 'integer', '7', 7)",
    f"{TYPE} (23, 2, 7, 956628995, 'displaytypeex', 'integer', '0', 0)",
    "UPDATE properties SET value = '8', number = 8 WHERE id = 22",
    "UPDATE properties SET value = '8', number = 8 WHERE id = 22",
    "UPDATE users SET status = 3 WHERE id = 2",
    "UPDATE users SET status = 0 WHERE id = 2",
    "DELETE FROM properties WHERE id = 23",
    # Who may do what.
    "INSERT INTO roles (id, name, key) VALUES (1, 'One', 'one'), (2, 'Two', 'two')",
    "INSERT INTO role_permissions (id, role_id, permission) VALUES (1, 1, 'SystemAdmin'), (2, 2, 'SystemAdminRO')",
    "UPDATE role_permissions SET permission = 'DomainPurge' WHERE id = 1",
    "UPDATE role_permissions SET permission = 'DomainPurge' WHERE id = 99",
    "DELETE FROM role_permissions WHERE id = 2",
    "DELETE FROM role_permissions WHERE id = 2",
    "INSERT INTO user_roles (user_id, role_id) VALUES (1, 1), (1, 2), (2, 1), (2, 2), (3, 1)",
    "DELETE FROM user_roles WHERE user_id = 1 AND role_id = 2",
    "DELETE FROM user_roles WHERE user_id = 1",
    "DELETE FROM user_roles WHERE user_id = 1",
    "DELETE FROM user_roles WHERE user_id = 2",
    "DELETE FROM roles WHERE id = 1",
    f"{TOKEN} (1, 2, 'a', '{'1' * 64}', 1, 0, '[]', 0), (2, 7, 'b', '{'2' * 64}', 1, 0, '[]', 0)",
    f"{TOKEN} (3, 2, 'c', '{'3' * 64}', 0, 0, '[]', 0)",
    "INSERT INTO tasks (id, token_id, command, params, pid, created, updated) VALUES (1, 1, 'x', '{}', 1, '', '')",
    """INSERT INTO api_token_permissions (id, token_id, permission, domain_id)
       VALUES (1, 1, 'DomainAdmin', 2), (2, 1, 'DomainAdmin', 1), (3, 2, 'SystemAdmin', NULL)""",
    "UPDATE api_tokens SET last_used = 1, last_source = 'x' WHERE id = 1",
    "UPDATE api_tokens SET expires = 1 WHERE id = 1",
    "DELETE FROM api_token_permissions WHERE id = 1",
    "DELETE FROM api_tokens WHERE id = 1",
    "DELETE FROM api_tokens WHERE id = 3",
    f"{SESSION} ('{'1' * 32}', 2, 0, 0, 0, 1, '', ''), ('{'2' * 32}', 7, 0, 0, 0, 1, '', '')",
    f"UPDATE sessions SET last_used = 1, expires = 2 WHERE session_id = '{'1' * 32}'",
    f"DELETE FROM sessions WHERE session_id = '{'1' * 32}'",
    "UPDATE users SET username = 'u2b' WHERE id = 2",
    "UPDATE users SET token_epoch = token_epoch + 1, kept_session = 's', kept_epoch = 9, password = 'x' WHERE id = 2",
    "UPDATE users SET ldap_id = 'o' WHERE id = 2",
    "UPDATE users SET password = 'x' WHERE id = 2",
    "UPDATE users SET ldap_id = 'o' WHERE id = 2",
    "UPDATE users SET ldap_id = NULL, status = 1 WHERE id = 2",
    "UPDATE domains SET title = 'A' WHERE id = 1",
    "UPDATE domains SET domain_status = 1 WHERE id = 1",
    "UPDATE domains SET domain_status = 3 WHERE id = 1",
    "UPDATE domains SET domain_status = 0 WHERE id = 1",
    "UPDATE domains SET org_id = 1 WHERE id = 2",
    "UPDATE domains SET self_service = '[]' WHERE id = 2",
    "DELETE FROM orgs WHERE id = 1",
    # Secrets.
    "INSERT INTO settings (name, value) VALUES ('other', 'plain')",
    "INSERT INTO settings (name, value) VALUES ('token_key', 'plain')",
    "INSERT INTO settings (name, value) VALUES ('token_key', 'sealed:1')",
    "UPDATE settings SET value = 'plain' WHERE name = 'token_key'",
    "UPDATE settings SET value = 'sealed:2' WHERE name = 'token_key'",
    "INSERT INTO ldap_configs (id, document, bind_pass) VALUES (1, '{}', 'Sealed:')",
    "INSERT INTO ldap_configs (id, document, bind_pass) VALUES (1, '{}', '')",
    "UPDATE ldap_configs SET bind_pass = 'plain' WHERE id = 1",
    "UPDATE ldap_configs SET bind_pass = 'sealed:1' WHERE id = 1",
    "UPDATE ldap_configs SET bind_pass = NULL WHERE id = 1",
    f"{FETCHMAIL} 'plain')",
    f"{FETCHMAIL} '')",
    "UPDATE fetchmail SET src_password = 'plain' WHERE id = 1",
    "UPDATE fetchmail SET src_password = 'sealed:1' WHERE id = 1",
    # Whoever goes takes what is theirs along.
    "DELETE FROM users WHERE id = 4",
    "DELETE FROM users WHERE id IN (3, 5)",
    "INSERT INTO user_roles (user_id, role_id) VALUES (1, 2), (7, 2)",
    "DELETE FROM users WHERE id = 1",
    "DELETE FROM domains WHERE id = 1",
    "DELETE FROM domains WHERE id = 2",
    "INSERT INTO domains (id, domainname, displayname, max_user) VALUES (3, 'c.org', 'c.org', 9)",
    "DELETE FROM domains WHERE id = 3",
]


class Outcome(NamedTuple):
    """What a statement has led to."""

    refusal: str
    authority_changed: bool
    rows: dict[str, list[tuple[Any, ...]]]
    due: list[tuple[Any, ...]]


#: Only those who still exist: SQLite notes deleted users as well.
DUE = "SELECT user_id FROM search_due WHERE user_id IN (SELECT id FROM users) ORDER BY 1"
GENERATION = "SELECT value FROM auth_generation"


def on_sqlite(path: Path) -> Iterator[Outcome]:
    """What each statement leads to on SQLite."""
    with open_sqlite(path) as connection:
        selects = select_all(connection)
        for statement in STATEMENTS:
            before, refusal = connection.execute(GENERATION).fetchone(), ""
            try:
                connection.execute(statement)
            except sqlite3.IntegrityError as error:
                refusal = str(error)
            yield Outcome(
                refusal,
                connection.execute(GENERATION).fetchone() > before,
                {table: [texts(row) for row in connection.execute(sql)] for table, sql in selects.items()},
                connection.execute(DUE).fetchall(),
            )


def on_postgresql(connection: psycopg.Connection[Any], selects: dict[str, str]) -> Iterator[Outcome]:
    """What each leads to on PostgreSQL."""
    for statement in STATEMENTS:
        before, refusal = run(connection, GENERATION).fetchone(), ""
        try:
            run(connection, statement)
        except psycopg.IntegrityError as error:
            refusal = str(error.diag.message_primary)
        yield Outcome(
            refusal,
            run(connection, GENERATION).fetchone() != before,
            {table: [texts(row) for row in run(connection, sql)] for table, sql in selects.items()},
            run(connection, DUE).fetchall(),
        )


def select_all(connection: sqlite3.Connection) -> dict[str, str]:
    """Table -> SELECT of all its rows, in the order of its first columns."""
    names = {table: columns(connection, table) for table in TABLES}
    return {table: f"SELECT {', '.join(of)} FROM {table} ORDER BY {', '.join(of[:3])}" for table, of in names.items()}


def texts(row: tuple[Any, ...]) -> tuple[str | None, ...]:
    """A value has a type of its own on SQLite only."""
    return tuple(None if value is None else str(value) for value in row)


@pytest.fixture
async def sqlite_file(tmp_path: Path) -> Path:
    """An empty SQLite database."""
    path = tmp_path / "postroom.sqlite3"
    await make_sqlite(path)
    return path


def same(one: Outcome, other: Outcome) -> bool:
    """Whether both are the same; the words for a missing row or a double one are the engines' own."""
    if "constraint" in one.refusal:
        return bool(other.refusal) and one[1:] == other[1:]
    return one == other


def test_the_same_statements_have_the_same_outcome(sqlite_file: Path, postgresql_url: str) -> None:
    """After each statement all rows are the same, and so is what is refused and why."""
    with open_sqlite(sqlite_file) as connection:
        selects = select_all(connection)
    refused = set()
    with open_postgresql(postgresql_url) as connection_:
        outcomes = zip(STATEMENTS, on_sqlite(sqlite_file), on_postgresql(connection_, selects), strict=True)
        for statement, expected, found in outcomes:
            assert same(expected, found), statement
            refused.add(found.refusal)
    assert len(refused) == 5


def test_the_same_triggers(sqlite_file: Path, postgresql_url: str) -> None:
    """Neither engine has a trigger that the other lacks."""
    with open_sqlite(sqlite_file) as connection:
        expected = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")}
    assert triggers(postgresql_url).keys() == expected - ONLY_SQLITE


def triggers(url: str) -> dict[str, str]:
    """Trigger -> its table. SQLite has those that note changes for the record as temporary ones."""
    with open_postgresql(url) as connection:
        return dict(
            run(
                connection,
                """
                SELECT tgname, tgrelid::regclass::text FROM pg_trigger
                 WHERE NOT tgisinternal AND tgname <> 'note_change'
                """,
            )
        )


def test_each_trigger_counts(sqlite_file: Path, postgresql_server: PostgreSQL, postgresql_url: str) -> None:
    """The statements of the first test tell the difference when any one of the triggers is missing."""
    with open_sqlite(sqlite_file) as connection:
        selects = select_all(connection)
    expected = list(on_sqlite(sqlite_file))
    unneeded = []
    for trigger, table in triggers(postgresql_url).items():
        name = postgresql_server.make_database(schema())
        with open_postgresql(postgresql_server.url(name)) as other:
            run(other, f"DROP TRIGGER {trigger} ON {table}")
            try:
                if all(same(one, found) for one, found in zip(expected, on_postgresql(other, selects), strict=True)):
                    unneeded.append(trigger)
            except psycopg.Error:
                pass  # a later statement cannot be run any more
        postgresql_server.drop_database(name)
    assert unneeded == []


def test_many_users_are_counted_at_once(postgresql_url: str) -> None:
    """A domain with many users is purged, and their roles are taken, with one count for each statement."""
    with open_postgresql(postgresql_url) as connection:
        run(connection, "INSERT INTO domains (id, domainname, displayname, max_user) VALUES (1, 'a.org', 'a.org', 9)")
        run(connection, "INSERT INTO roles (id, name, key) VALUES (1, 'One', 'one')")
        many = "SELECT number, 1, 'u' || number, number % 6 FROM generate_series(1, 600) number"
        run(connection, f"INSERT INTO users (id, domain_id, username, status) {many}")
        counts = run(connection, "SELECT active_users, inactive_users, virtual_users FROM domains").fetchone()
        assert counts == (100, 300, 200)
        run(connection, "INSERT INTO user_roles (user_id, role_id) SELECT id, 1 FROM users")
        before = run(connection, GENERATION).fetchone()
        run(connection, "DELETE FROM user_roles")
        run(connection, "DELETE FROM users WHERE status = 1")
        counts = run(connection, "SELECT active_users, inactive_users, virtual_users FROM domains").fetchone()
        assert counts == (100, 200, 200)
        assert run(connection, "SELECT min(token_epoch), max(token_epoch) FROM users").fetchone() == (1, 1)
        run(connection, "DELETE FROM domains")
        after = run(connection, GENERATION).fetchone()
        assert before is not None
        assert after is not None
        assert before[0] < after[0] < before[0] + 20
