"""The indexes of PostgreSQL's schema serve what they are for, and a database tells whose it is."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from postroom.storage import mail
from postroom.storage.postgresql.migrating import latest
from postroom.storage.postgresql.translation import translated
from tests.support.both_engines import open_postgresql, run
from tests.support.postgresql import SUPERUSER, PostgreSQL

pytestmark = pytest.mark.postgresql

Pg = psycopg.Connection[Any]

DISPLAY_NAME = 0x3001001F

#: As the writer makes the rows of users who are due.
REFRESH = f"""
    INSERT INTO user_search (user_id, domain_id, username, aliases, altnames, displayname, properties)
    SELECT u.id, u.domain_id,
           coalesce((SELECT string_agg(key, chr(10)) FROM addresses WHERE user_id = u.id AND kind = 'username'), ''),
           '', '',
           coalesce((SELECT folded FROM properties WHERE user_id = u.id AND tag = {DISPLAY_NAME}), ''), ''
      FROM search_due d JOIN users u ON u.id = d.user_id
     WHERE u.domain_id IS NOT NULL
"""


@pytest.fixture
def peopled(postgresql_url: str) -> Iterator[Pg]:
    """Two domains: a thousand users in the first, ten in the second, each with a name."""
    with open_postgresql(postgresql_url) as connection:
        for number, name in ((1, "a.org"), (2, "b.org")):
            values = f"({number}, '{name}', '{name}', 2000)"
            run(connection, f"INSERT INTO domains (id, domainname, displayname, max_user) VALUES {values}")
        users = "SELECT n, 1 + (n % 100 = 0)::int, 'user' || n || '@a.org' FROM generate_series(1, 1000) n"
        run(connection, f"INSERT INTO users (id, domain_id, username) {users}")
        names = "SELECT id, 'username', username, username FROM users"
        run(connection, f"INSERT INTO addresses (user_id, kind, address, key) {names}")
        run(
            connection,
            f"""INSERT INTO properties (domain_id, user_id, tag, name, kind, value, folded)
                SELECT domain_id, id, {DISPLAY_NAME}, 'displayname', 'text', 'Žofie ' || id, 'žofie ' || md5(id::text)
                  FROM users""",
        )
        assert run(connection, REFRESH).rowcount == 1000
        run(connection, "DELETE FROM search_due")
        run(connection, "ANALYZE")
        yield connection


def plan(connection: Pg, sql: str) -> str:
    """What PostgreSQL does for a statement, if it has to do without reading whole tables."""
    run(connection, "SET enable_seqscan = off")
    return "\n".join(row[0] for row in run(connection, f"EXPLAIN (COSTS OFF) {sql}"))


def test_a_part_of_a_name_is_found_by_trigrams(peopled: Pg) -> None:
    """In any script, and the row goes with its user."""
    search = "SELECT user_id FROM user_search WHERE all_text LIKE '%r990@%' ORDER BY 1"
    assert run(peopled, search).fetchall() == [(990,)]
    assert "user_search_by_text" in plan(peopled, search)
    run(peopled, "UPDATE user_search SET displayname = 'žluť 漢字かな' WHERE user_id = 101")
    for word in ("luť", "漢字か"):
        search = f"SELECT user_id FROM user_search WHERE all_text LIKE '%{word}%'"
        assert run(peopled, search).fetchall() == [(101,)]
        assert "user_search_by_text" in plan(peopled, search)
    run(peopled, "DELETE FROM users WHERE id = 101")
    assert run(peopled, search).fetchall() == []


def test_a_short_word_reads_the_domain_only(peopled: Pg) -> None:
    """What is no trigram is looked for among the users of the domain, in the order of their IDs."""
    page = plan(
        peopled, "SELECT user_id FROM user_search WHERE domain_id = 2 AND all_text LIKE '%0@%' ORDER BY 1 LIMIT 5"
    )
    assert "user_search_by_domain" in page
    assert "Sort" not in page


@pytest.mark.parametrize("direction", ["ASC", "DESC"])
def test_a_page_by_a_property_is_in_the_order_of_its_index(peopled: Pg, direction: str) -> None:
    """Nothing is sorted for a page in the order of a property."""
    nulls = "NULLS FIRST" if direction == "ASC" else "NULLS LAST"
    page = plan(
        peopled,
        f"""SELECT user_id FROM properties
             WHERE domain_id = 1 AND tag = {DISPLAY_NAME} AND kind <> 'binary'
             ORDER BY number {direction} {nulls}, left(folded, 600) {direction} {nulls}, user_id {direction}
             LIMIT 50""",
    )
    assert "properties_by_value" in page
    assert "Sort" not in page


def test_a_value_is_found_by_the_index(peopled: Pg) -> None:
    """Whoever has a value is found by its first 600 characters."""
    found = plan(
        peopled,
        f"""SELECT user_id FROM properties
             WHERE domain_id = 1 AND tag = {DISPLAY_NAME} AND kind <> 'binary' AND number IS NULL
               AND left(folded, 600) = left('žofie', 600) AND folded = 'žofie'""",
    )
    assert "properties_by_value" in found
    assert '"left"(folded, 600)' in found.partition("Filter")[0]


@pytest.mark.parametrize(("domain", "order"), [(2, "id"), (1, "username, id"), (1, "status, id")])
def test_the_users_of_a_domain_are_in_order(peopled: Pg, domain: int, order: str) -> None:
    """By ID, username or status: nothing is sorted."""
    run(peopled, "SET enable_bitmapscan = off")
    page = plan(peopled, f"SELECT id FROM users WHERE domain_id = {domain} ORDER BY {order} LIMIT 50")
    assert "users_by_" in page
    assert "Sort" not in page


@pytest.mark.parametrize("statement", ["_ADDRESSEE", "_SENDERS", "_MAILBOX"])
def test_what_a_mail_server_asks_is_found_by_key(peopled: Pg, statement: str) -> None:
    """No table is read whole, however many users there are."""
    assert "Seq Scan" not in plan(peopled, translated(getattr(mail, statement).replace("?", "'user1@a.org'")))


#: Whether the mark of postroom's tables is there, and how many tables there are, besides those of extensions.
WHOSE = """
    SELECT EXISTS (SELECT 1 FROM pg_attribute
                    WHERE attrelid = to_regclass('schema_version') AND attname = 'program'),
           (SELECT count(*) FROM pg_class c
             WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
               AND NOT EXISTS (SELECT 1 FROM pg_depend d
                                WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'))
"""


def test_it_tells_whose_tables_these_are(postgresql_server: PostgreSQL, postgresql_url: str) -> None:
    """An empty database, one with extensions of the administrator, one of another program, and postroom's own."""
    name = postgresql_server.make_database()
    with open_postgresql(postgresql_server.url(name, user=SUPERUSER)) as connection:
        assert run(connection, WHOSE).fetchone() == (False, 0)
        run(connection, "CREATE EXTENSION pg_stat_statements")
        assert run(connection, WHOSE).fetchone() == (False, 0)
        run(connection, "CREATE TABLE schema_version (version text)")
        assert run(connection, WHOSE).fetchone() == (False, 1)
    postgresql_server.drop_database(name)
    with open_postgresql(postgresql_url) as connection:
        mine, tables = run(connection, WHOSE).fetchone() or (False, 0)
        assert mine
        assert tables > 20
        assert run(connection, "SELECT program, version FROM schema_version").fetchall() == [("postroom", latest())]
        for insert in ("('postroom', 99)", "('other', 1)"):
            with pytest.raises(psycopg.IntegrityError):
                run(connection, f"INSERT INTO schema_version VALUES {insert}")
