"""What a constraint of the database means to a client."""

from typing import Any

import pytest

from postroom.storage.database import Database
from postroom.storage.integrity import RULES, rule_of
from postroom.storage.sqlite import sqlite3

pytestmark = pytest.mark.sqlite

#: Unique indexes that no input can offend: whoever writes there replaces what there is, or makes the number itself.
INTERNAL = {
    "settings.name", "create_defaults.domain_id", "devices.user_id", "due_resyncs.user_id", "task_items.task_id",
    "display_type_counts.domain_id", "sessions.session_id", "index 'ldap_configs_by_org'",
}  # fmt: skip

PREPARED = """
    INSERT INTO domains (id, domainname, displayname, max_user) VALUES (1, 'a.org', 'a.org', 9);
    INSERT INTO orgs (name, key) VALUES ('Firm', 'firm');
    INSERT INTO roles (id, name, key) VALUES (1, 'Role', 'role');
    INSERT INTO users (id, domain_id, username, ldap_id) VALUES (1, 1, 'jane@a.org', 'x'), (2, 1, 'john@a.org', 'y');
    INSERT INTO addresses (user_id, kind, address, key) VALUES (1, 'username', 'jane@a.org', 'jane@a.org');
    INSERT INTO addresses (user_id, kind, address, key) VALUES (2, 'altname', 'jd', 'jd');
    INSERT INTO properties (user_id, tag, name, kind, value) VALUES (1, 1, 'a', 'text', 'x');
    INSERT INTO grants (user_id, kind, position, address, key) VALUES (1, 'sendas', 0, 'a@b', 'a@b');
    INSERT INTO store_access (user_id, member_id) VALUES (1, 2);
    INSERT INTO user_roles (user_id, role_id) VALUES (1, 1);
    INSERT INTO api_tokens (user_id, name, hash, scoped, read_only, networks, created)
    VALUES (1, 'x', '0000000000000000000000000000000000000000000000000000000000000000', 0, 0, '[]', 1),
           (1, 'y', '1111111111111111111111111111111111111111111111111111111111111111', 0, 0, '[]', 1);
"""

#: A statement that breaks a rule, and the field that the answer names.
BROKEN = [
    ("INSERT INTO domains (domainname, displayname, max_user) VALUES ('a.org', 'a.org', 9)", "domainname"),
    ("INSERT INTO orgs (name, key) VALUES ('FIRM', 'firm')", "name"),
    ("INSERT INTO roles (name, key) VALUES ('ROLE', 'role')", "name"),
    ("INSERT INTO users (domain_id, username) VALUES (1, 'jane@a.org')", "username"),
    ("UPDATE users SET ldap_id = 'x' WHERE id = 2", "ldapID"),
    ("INSERT INTO addresses (user_id, kind, address, key) VALUES (2, 'alias', 'JANE@a.org', 'jane@a.org')", "aliases"),
    ("INSERT INTO addresses (user_id, kind, address, key) VALUES (1, 'altname', 'JD', 'jd')", "altnames"),
    ("INSERT INTO addresses (user_id, kind, address, key) VALUES (2, 'altname', 'j', 'jane@a.org')", "altnames"),
    ("INSERT INTO addresses (user_id, kind, address, key) VALUES (1, 'username', 'jd', 'jd')", "username"),
    ("INSERT INTO properties (user_id, tag, name, kind, value) VALUES (1, 1, 'a', 'text', 'x')", "properties"),
    ("INSERT INTO grants (user_id, kind, position, address, key) VALUES (1, 'sendas', 1, 'a@b', 'a@b')", "addresses"),
    ("INSERT INTO store_access (user_id, member_id) VALUES (1, 2)", "usernames"),
    ("INSERT INTO user_roles (user_id, role_id) VALUES (1, 1)", "roles"),
    ("UPDATE api_tokens SET hash = (SELECT min(hash) FROM api_tokens)", "tokenHash"),
    ("INSERT INTO user_roles (user_id, role_id) VALUES (1, 99)", ""),
    ("INSERT INTO forwards (user_id, forward_type, destination) VALUES (1, 7, 'a@b')", ""),
    ("INSERT INTO users (domain_id, username) VALUES (1, NULL)", ""),
]


@pytest.mark.parametrize(("sql", "field"), BROKEN)
async def test_broken_rule(database: Database, sql: str, field: str) -> None:
    """Each constraint is told as the rule of the API, with its field, and without a word of SQL."""
    with pytest.raises(sqlite3.IntegrityError) as caught:
        await database.write(_break, sql)
    named, reason = rule_of(caught.value)
    assert field in named
    assert bool(field) == bool(named)
    assert reason.endswith(".")
    assert not any(word in reason for word in ("constraint", "UNIQUE", "key", "failed"))


def _break(connection: sqlite3.Connection, sql: str) -> None:
    for statement in PREPARED.split(";\n")[:-1]:
        connection.execute(statement)
    connection.execute(sql)


async def test_every_unique_rule_has_its_words(database: Database) -> None:
    """There is no unique index that a client could offend and be told nothing of use."""
    found: set[str] = set()
    for table, index in await database.fetch_all(
        """
        SELECT t.name, i.name
          FROM sqlite_master t
          JOIN pragma_index_list(t.name) i ON i."unique" AND t.type = 'table' AND t.name NOT LIKE '%search%'
        """
    ):
        columns: list[Any] = await database.fetch_all("SELECT name FROM pragma_index_info(?)", (index,))
        first = columns[0][0]
        found.add(f"index '{index}'" if first is None else f"{table}.{first}")
    assert found - INTERNAL == {name for name in RULES if "." in name}


async def test_every_rule_of_a_trigger_has_its_words(database: Database) -> None:
    """What a trigger raises is in the table, too."""
    triggers = await database.fetch_all("SELECT sql FROM sqlite_master WHERE type = 'trigger'")
    raised = {sql.split("raise(ABORT, '")[1].split("'")[0] for (sql,) in triggers if "raise(ABORT" in sql}
    # No input can do that.
    raised -= {"a secret would be stored in plain text", "a user cannot change the domain"}
    assert raised == {name for name in RULES if " is " in name}
