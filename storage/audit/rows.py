"""Finds rows of the record, the latest first.

Each filter has an index, in which the rows of one value are in the order of IDs, and with that of time. `_leads` says
which of them to walk along; what else is asked is looked at in each row.
"""

from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from postroom.schemas.values.audit import MEANS, AuditQuery, AuditScope
from postroom.storage.database import Database
from postroom.storage.engine import Connection
from postroom.storage.pieces import Sql, together
from postroom.storage.spelling import NUMBERS

#: Column -> field of a row's document; `time` is made from the ID, and `changes` is JSON already.
_FIELDS: Final = {
    "actor_id": "actorID",
    "actor": "actor",
    "means": "means",
    "token_id": "tokenID",  # nosec B105 - the name of a field
    "token": "token",  # nosec B105 - the name of a field
    "source": "source",
    "request_id": "requestID",
    "operation": "operation",
    "action": "action",
    "kind": "kind",
    "object_id": "objectID",
    "name": "name",
    "domain_id": "domainID",
}
_COLUMNS: Final = ", ".join(["id", "changes", *_FIELDS])

#: Where to begin: the table with its index, and the condition that leads along it.
Lead = tuple[str, Sql]

#: By their names, objects are found in their own tables, or in the record if they have them no more.
_NAMED: Final = """
    SELECT 'user' AS kind, id FROM users WHERE username = ?
     UNION ALL SELECT 'domain', id FROM domains WHERE domainname = ?
     UNION ALL SELECT 'org', id FROM orgs WHERE name = ?
     UNION ALL SELECT 'role', id FROM roles WHERE name = ?
     UNION ALL SELECT DISTINCT kind, object_id FROM audit INDEXED BY audit_by_former
                WHERE former IN (?, ?) AND former IS NOT NULL
     LIMIT 100
"""


async def select_audit(database: Database, query: AuditQuery, scope: AuditScope, *, caller: object) -> list[Any]:
    """Rows as documents (see `document`), at most `limit` and one more. Raises SearchError."""

    def fetch(connection: Connection, _sql: str, _params: Sequence[object]) -> list[Any]:
        return list_audit(connection, query, scope)

    found: list[Any] = await database.search(caller, "", (), fetch=fetch)
    return found


def list_audit(connection: Connection, query: AuditQuery, scope: AuditScope) -> list[Any]:
    """The same on a connection."""
    order = "ASC" if query.from_first else "DESC"
    rows: list[Any] = []
    for place, condition in _leads(connection, query, scope):
        both = together([condition, *_filters(query), *_in_scope(scope)])
        sql = f"SELECT {_COLUMNS} FROM {place} WHERE {both.text} AND id BETWEEN ? AND ? ORDER BY id {order} LIMIT ?"
        rows += connection.execute(sql, (*both.params, query.first, query.last, query.limit + 1)).fetchall()
    # No row is on two leads.
    rows.sort(reverse=not query.from_first)
    return rows[: query.limit + 1]


async def select_pieces(
    database: Database, query: AuditQuery, scope: AuditScope, size: int, *, caller: object
) -> AsyncGenerator[list[Any]]:
    """The rows in pieces of at most `size`, each found by itself, so that memory does not depend on their number."""
    left = query.limit
    while left > 0:
        rows = await select_audit(database, replace(query, limit=min(size, left)), scope, caller=caller)
        yield rows[: min(size, left)]
        left -= size
        if len(rows) <= size:
            return
        query = replace(query, last=rows[size - 1][0] - 1)


def document(row: Sequence[Any]) -> dict[str, Any]:
    """A row for people and programs."""
    row_id, changes, *values = row
    fields = dict(zip(_FIELDS.values(), values, strict=True))
    return {"ID": row_id, "time": shown_time(row_id), **fields, "changes": orjson.Fragment(changes)}


def shown_time(microseconds: int) -> str:
    """ISO 8601, in UTC."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06}Z"


def _leads(connection: Connection, query: AuditQuery, scope: AuditScope) -> Iterable[Lead]:
    if query.request_id is not None:
        # The index has no rows without a request; its condition has to be said again.
        return [_lead("request", "request_id = ? AND request_id <> ''", query.request_id)]
    if query.name is not None:
        names = [query.address or query.name, *[query.name] * 4, query.address or query.name]
        named = dict.fromkeys(connection.execute(_NAMED, names).fetchall())
        return [_object(*each) for each in named]
    if query.kind is not None and query.object_id is not None:
        return [_object(query.kind, query.object_id)]
    if query.actor is not None:
        return [_lead("actor", "actor_id = ?", user_id) for user_id in _users(connection, query.actor)]
    if query.domain_id is not None:
        return [_lead("domain", "domain_id = ?", query.domain_id)]
    if not scope.everything and scope.domains is not None and scope.orgs is not None:
        return [*_of_domains(scope.domains), *_of_orgs(scope.orgs)]
    if query.kind is not None and query.kind != "user":
        return [_lead("kind", "kind = ? AND kind <> 'user'", query.kind)]
    if query.operation is not None or query.means is not None:
        return list(_by_means(connection, query))
    return [("audit", Sql("TRUE"))]


def _lead(index: str, condition: str, *params: object) -> Lead:
    return f"audit INDEXED BY audit_by_{index}", Sql(condition, params)


def _object(kind: str, object_id: int) -> Lead:
    return _lead("object", "kind = ? AND object_id = ?", kind, object_id)


def _users(connection: Connection, actor: int | str) -> list[int]:
    if isinstance(actor, int):
        return [actor]
    return [
        user_id for (user_id,) in connection.execute("SELECT id FROM users WHERE username = ?", (actor,)).fetchall()
    ]


def _by_means(connection: Connection, query: AuditQuery) -> Iterator[Lead]:
    """One index for both, because each costs every write something: along each pair that there is."""
    for means in MEANS if query.means is None else (query.means,):
        operation = query.operation if query.operation is not None else _next_operation(connection, means, None)
        while operation is not None:
            yield _lead("means", "means = ? AND operation = ?", means, operation)
            operation = None if query.operation is not None else _next_operation(connection, means, operation)


def _next_operation(connection: Connection, means: str, after: str | None) -> str | None:
    sql = "SELECT min(operation) FROM audit INDEXED BY audit_by_means WHERE means = ?"
    values = (means,) if after is None else (means, after)
    row = connection.execute(sql if after is None else f"{sql} AND operation > ?", values).fetchone()
    return None if row[0] is None else str(row[0])


def _of_domains(domains: Iterable[int]) -> Iterator[Lead]:
    for domain_id in domains:
        yield _lead("domain", "domain_id = ?", domain_id)


def _of_orgs(orgs: Iterable[int]) -> Iterator[Lead]:
    for org_id in orgs:
        yield _object("org", org_id)
        yield _object("ldap", org_id)


def _filters(query: AuditQuery) -> Iterator[Sql]:
    if isinstance(query.actor, int):
        yield Sql("actor_id = ?", (query.actor,))
    if isinstance(query.actor, str):
        yield Sql("actor_id = (SELECT id FROM users WHERE username = ?)", (query.actor,))
    for column, value in (
        ("means", query.means),
        ("operation", query.operation),
        ("kind", query.kind),
        ("object_id", query.object_id),
        ("domain_id", query.domain_id),
        ("request_id", query.request_id),
    ):
        if value is not None:
            yield Sql(f"{column} = ?", (value,))


def _in_scope(scope: AuditScope) -> Iterator[Sql]:
    if scope.everything:
        return
    domains = Sql("domain_id IS NOT NULL")
    if scope.domains is not None:
        domains = Sql(f"domain_id IN {NUMBERS}", (str(sorted(scope.domains)),))
    orgs = Sql("kind IN ('org', 'ldap')")
    if scope.orgs is not None:
        orgs = Sql(f"kind IN ('org', 'ldap') AND object_id IN {NUMBERS}", (str(sorted(scope.orgs)),))
    yield Sql(f"({domains.text} OR {orgs.text})", (*domains.params, *orgs.params))
