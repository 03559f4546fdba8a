"""Mail domains: JSON documents for responses, rows for transactions."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from postroom.schemas.values.queries import DomainQuery
from postroom.schemas.values.self_service import DEFAULT
from postroom.storage.database import Database
from postroom.storage.engine import Connection
from postroom.storage.lists import among_any, list_statement
from postroom.storage.pieces import Sql
from postroom.storage.user_documents import boolean

#: Fields that are one column each: name in the API -> column.
COLUMNS = {
    "orgID": "org_id",
    "maxUser": "max_user",
    "title": "title",
    "address": "address",
    "adminName": "admin_name",
    "tel": "tel",
    "endDay": "end_day",
    "domainStatus": "domain_status",
    "chat": "chat",
    "syncPolicy": "sync_policy",
    "selfService": "self_service",
}
#: Field -> SQL expression to sort by.
SORT_COLUMNS = {
    "ID": "d.id",
    "domainname": "d.domainname",
    "orgID": "coalesce(d.org_id, 0)",
    "maxUser": "d.max_user",
    "title": "d.title",
    "address": "d.address",
    "adminName": "d.admin_name",
    "tel": "d.tel",
    "endDay": "d.end_day",
    "domainStatus": "d.domain_status",
    "chat": "d.chat",
    "displayname": "d.displayname",
    "activeUsers": "d.active_users",
    "inactiveUsers": "d.inactive_users",
    "virtualUsers": "d.virtual_users",
}
_LEVELS = (
    ["'ID', d.id", "'domainname', d.domainname", "'displayname', d.displayname"],
    [
        "'orgID', coalesce(d.org_id, 0)",
        "'maxUser', d.max_user",
        "'activeUsers', d.active_users",
        "'inactiveUsers', d.inactive_users",
        "'virtualUsers', d.virtual_users",
        "'title', d.title",
        "'address', d.address",
        "'adminName', d.admin_name",
        "'tel', d.tel",
        "'endDay', d.end_day",
        "'domainStatus', d.domain_status",
    ],
    [
        "'syncPolicy', json(d.sync_policy)",
        f"'chat', {boolean('d.chat')}",
        "'homeserver', NULL",
        f"'selfService', json(coalesce(d.self_service, '{json.dumps(DEFAULT)}'))",
    ],
)


def document(level: int) -> str:
    """SQL for a domain's JSON text at a level (0, 1, 2)."""
    members = [member for part in _LEVELS[: level + 1] for member in part]
    return f"json_object({', '.join(members)})"


class DomainRow(NamedTuple):
    """The columns of a domain that transactions need."""

    id: int
    org_id: int | None
    domainname: str
    max_user: int
    active_users: int
    domain_status: int

    def is_sibling_of(self, other: "DomainRow | None") -> bool:
        """Whether both belong to one organisation. Users of one may then have aliases in the other."""
        return other is not None and self.org_id is not None and self.org_id == other.org_id


async def select_domains(database: Database, query: DomainQuery, *, caller: int) -> bytes:
    """The response `{"count", "data"}` as JSON."""
    filters = [
        *among_any("d.id", None if query.visible is None else sorted(query.visible)),
        *among_any("coalesce(d.org_id, 0)", query.org_ids),
        *among_any("d.domain_status", query.status),
    ]
    if query.max_user is not None:
        filters.append(Sql("d.max_user BETWEEN ? AND ?", query.max_user))
    statement = list_statement(
        "domains d", query, document(query.level), SORT_COLUMNS, filters=filters, columns=COLUMNS
    )
    found: bytes = await database.search(caller, *statement)
    return found


async def select_domain(database: Database, domain_id: int, level: int) -> bytes | None:
    """A domain's JSON document, or None."""
    found: bytes | None = await database.fetch_by_key(
        f"SELECT CAST({document(level)} AS BLOB) FROM domains d WHERE d.id = ?", (domain_id,)
    )
    return found


async def select_domainname(database: Database, domain_id: int) -> str | None:
    """A domain's name in A-labels, or None."""
    found: str | None = await database.fetch_by_key("SELECT domainname FROM domains WHERE id = ?", (domain_id,))
    return found


async def select_sync_policy(database: Database, domain_id: int) -> tuple[str | None] | None:
    """(the domain's own policy as JSON or None,), or None when there is no such domain."""
    row: tuple[str | None] | None = await database.fetch_row_by_key(
        "SELECT sync_policy FROM domains WHERE id = ?", (domain_id,)
    )
    return row


async def select_active_user_count(database: Database, *, caller: int) -> int:
    """The number of users with status 0 in all domains. `maxUser` counts the same users."""
    return int(await database.search(caller, "SELECT coalesce(sum(active_users), 0) FROM domains"))


def read_domain(connection: Connection, domain_id: int) -> bytes:
    """The document of level 2, inside a transaction."""
    sql = f"SELECT CAST({document(2)} AS BLOB) FROM domains d WHERE d.id = ?"
    found: bytes = connection.execute(sql, (domain_id,)).fetchone()[0]
    return found


_ROW = "SELECT id, org_id, domainname, max_user, active_users, domain_status FROM domains"


def find_domain(connection: Connection, domain_id: int) -> DomainRow | None:
    """The domain, or None."""
    row = connection.execute(f"{_ROW} WHERE id = ?", (domain_id,)).fetchone()
    return DomainRow._make(row) if row else None


def list_domains(connection: Connection) -> list[DomainRow]:
    """Every domain, by ID."""
    return [DomainRow._make(row) for row in connection.execute(f"{_ROW} ORDER BY id")]


def find_domain_by_name(connection: Connection, domainname: str) -> DomainRow | None:
    """The domain with a name in A-labels and lower case, or None."""
    row = connection.execute(f"{_ROW} WHERE domainname = ?", (domainname,)).fetchone()
    return DomainRow._make(row) if row else None


def insert_domain(connection: Connection, domainname: str, displayname: str, fields: Mapping[str, object]) -> int:
    """Adds a domain; `fields` by their names in the API. Returns the ID."""
    known = {COLUMNS[name]: value for name, value in fields.items() if name in COLUMNS}
    columns = ["domainname", "displayname", *known]
    (domain_id,) = connection.execute(
        f"INSERT INTO domains ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) RETURNING id",
        (domainname, displayname, *known.values()),
    ).fetchone()
    return int(domain_id)


def update_domain(connection: Connection, domain_id: int, fields: Mapping[str, object]) -> None:
    """Sets columns by their names in the API."""
    known = {COLUMNS[name]: value for name, value in fields.items() if name in COLUMNS}
    if known:
        assignments = ", ".join(f"{column} = ?" for column in known)
        connection.execute(f"UPDATE domains SET {assignments} WHERE id = ?", (*known.values(), domain_id))


def delete_domain(connection: Connection, domain_id: int) -> None:
    """Removes a domain. Foreign keys also remove its users and all their data."""
    connection.execute("DELETE FROM domains WHERE id = ?", (domain_id,))
