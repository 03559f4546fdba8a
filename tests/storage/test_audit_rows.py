"""What a query of the record costs follows what it finds, with a million rows beside it."""

from typing import Any, cast

import pytest

from postroom.schemas.values.audit import AuditQuery, AuditScope
from postroom.storage.audit.rows import list_audit
from postroom.storage.database import Database
from tests.support.inside import is_postgresql

EVERYTHING = AuditScope(everything=True)
#: A scope or a query -> the index along which its rows are found; empty: in the order of the table itself.
INDEXES = [
    (AuditQuery(), EVERYTHING, ""),
    (AuditQuery(first=5, last=9), EVERYTHING, ""),
    (AuditQuery(actor=7), EVERYTHING, "audit_by_actor"),
    (AuditQuery(actor="anna@example.org"), EVERYTHING, "audit_by_actor"),
    (AuditQuery(means="command"), EVERYTHING, "audit_by_means"),
    (AuditQuery(operation="patchUser"), EVERYTHING, "audit_by_means"),
    (AuditQuery(kind="role"), EVERYTHING, "audit_by_kind"),
    (AuditQuery(kind="user", object_id=7), EVERYTHING, "audit_by_object"),
    (AuditQuery(name="anna@example.org"), EVERYTHING, "audit_by_object"),
    (AuditQuery(domain_id=3), EVERYTHING, "audit_by_domain"),
    (AuditQuery(request_id="abc-1"), EVERYTHING, "audit_by_request"),
    (AuditQuery(first=5, actor=7, means="command"), EVERYTHING, "audit_by_actor"),
    (AuditQuery(), AuditScope(domains=frozenset({3})), "audit_by_domain"),
    (AuditQuery(means="command"), AuditScope(domains=frozenset({3})), "audit_by_domain"),
    (AuditQuery(), AuditScope(orgs=frozenset({3})), "audit_by_object"),
]
#: Steps of SQLite's virtual machine for a page of two rows, and for one of none: a million rows would take millions.
MOST_STEPS = 3_000


class Explained:
    """A connection that asks how a statement is run before it runs it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.plans: list[str] = []

    def execute(self, sql: str, params: Any = ()) -> Any:
        """The rows of the statement."""
        for row in self._connection.execute(f"EXPLAIN QUERY PLAN {sql}", params).fetchall():
            self.plans.append(row[3])
        return self._connection.execute(sql, params)


def fill(connection: Any, rows: int) -> None:
    """So many rows about other things, and two of each kind that is asked for."""
    connection.execute("INSERT INTO domains (id, domainname, displayname, max_user) VALUES (3, 'example.org', '', 9)")
    connection.execute("INSERT INTO users (id, domain_id, username) VALUES (7, 3, 'anna@example.org')")
    insert = """
        INSERT INTO audit (id, actor_id, actor, means, token, source, request_id, operation, action, kind, object_id,
                           name, domain_id, changes)
        VALUES (?, ?, '', ?, '', '', ?, ?, 'change', ?, ?, '', ?, '{}')"""
    connection.executemany(
        insert, ((100 + number, 1, "session", f"x-{number}", "postUser", "user", number, 1) for number in range(rows))
    )
    rare = [("command", "patchUser", "user", 7), ("command", "patchRole", "role", 9), ("command", "patchOrg", "org", 3)]
    connection.executemany(
        insert, [(5 + at, 7, means, "abc-1", operation, kind, object_id, 3)
                 for at, (means, operation, kind, object_id) in enumerate(rare)]
    )  # fmt: skip


@pytest.mark.sqlite
@pytest.mark.parametrize(("query", "scope", "index"), INDEXES)
async def test_each_filter_has_an_index(database: Database, query: AuditQuery, scope: AuditScope, index: str) -> None:
    """No query reads the whole table, nor sorts what it has read."""
    await database.write(fill, 10)

    def explain(connection: Any) -> list[str]:
        explained = Explained(connection)
        list_audit(cast(Any, explained), query, scope)
        return explained.plans

    plans = await database.read(explain)
    assert not any("TEMP B-TREE FOR ORDER" in line for line in plans)
    found = [line for line in plans if "audit" in line and "audit_by_former" not in line]
    assert found
    for line in found:
        assert index in line if index else "audit_by" not in line
        assert line.startswith("SEARCH")


@pytest.mark.sqlite
async def test_many_rows_beside_it(database: Database) -> None:
    """Each page costs a few thousand steps at most, whatever else is stored; reading all takes far more."""
    await database.write(fill, 200_000)

    def count_steps(connection: Any, query: AuditQuery, scope: AuditScope) -> int:
        steps = 0

        def step() -> None:
            nonlocal steps
            steps += 100

        connection.set_progress_handler(step, 100)
        try:
            list_audit(connection, query, scope)
        finally:
            connection.set_progress_handler(None, 0)
        return steps

    for query, scope, index in INDEXES:
        assert await database.write(count_steps, query, scope) <= MOST_STEPS, (query, index)


async def test_rows_are_found_on_both_engines(database: Database) -> None:
    """Each query finds what it asks for."""
    await database.write(fill, 5)
    for query, scope, _ in INDEXES[1:]:
        rows = await database.read(list_audit, query, scope)
        assert 1 <= len(rows) <= 5, (query, is_postgresql(database))
