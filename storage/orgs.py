"""Organisations: groups of domains that share administrators, aliases and a directory."""

from collections.abc import Mapping, Sequence

from postroom.schemas.values.queries import OrgQuery
from postroom.schemas.values.text import fold
from postroom.storage.database import Database
from postroom.storage.engine import Connection
from postroom.storage.lists import list_statement

#: Field -> SQL expression to sort by.
_SORT_COLUMNS = {"ID": "o.id", "name": "o.name", "description": "o.description"}

_LEVELS = (
    ["'ID', o.id", "'name', o.name"],
    [
        "'description', o.description",
        "'domainCount', (SELECT count(*) FROM domains WHERE org_id = o.id)",
    ],
    [
        """'domains', json((SELECT json_group_array(json_object(
               'ID', id, 'domainname', domainname, 'displayname', displayname))
                             FROM (SELECT * FROM domains WHERE org_id = o.id ORDER BY id)))"""
    ],
)


def _document(level: int) -> str:
    return f"json_object({', '.join(member for part in _LEVELS[: level + 1] for member in part)})"


async def select_orgs(database: Database, query: OrgQuery, *, caller: int) -> bytes:
    """The response `{"count", "data"}` as JSON."""
    found: bytes = await database.search(
        caller, *list_statement("orgs o", query, _document(query.level), _SORT_COLUMNS)
    )
    return found


async def select_org(database: Database, org_id: int, level: int, *, caller: int) -> bytes | None:
    """An organisation's JSON document, or None."""
    found: bytes | None = await database.search(
        caller, f"SELECT CAST({_document(level)} AS BLOB) FROM orgs o WHERE o.id = ?", (org_id,)
    )
    return found


def read_org(connection: Connection, org_id: int) -> bytes:
    """The document of level 2, inside a transaction."""
    sql = f"SELECT CAST({_document(2)} AS BLOB) FROM orgs o WHERE o.id = ?"
    found: bytes = connection.execute(sql, (org_id,)).fetchone()[0]
    return found


_SELECT_ID = "SELECT id FROM orgs WHERE id = ?"


async def select_org_id(database: Database, org_id: int) -> int | None:
    """The ID if the organisation exists, or None."""
    found: int | None = await database.fetch_by_key(_SELECT_ID, (org_id,))
    return found


def is_org(connection: Connection, org_id: int) -> bool:
    """Whether the organisation exists, inside a transaction."""
    return connection.execute(_SELECT_ID, (org_id,)).fetchone() is not None


def is_name_taken(connection: Connection, name: str, org_id: int | None) -> bool:
    """Whether another organisation than this one (None: a new one) has the name."""
    sql = "SELECT 1 FROM orgs WHERE key = ? AND id IS DISTINCT FROM ?"
    return connection.execute(sql, (fold(name), org_id)).fetchone() is not None


def find_org_by_name(connection: Connection, name: str) -> int | None:
    """The ID of the organisation with that name, in any case, or None."""
    row = connection.execute("SELECT id FROM orgs WHERE key = ?", (fold(name),)).fetchone()
    return row[0] if row else None


def insert_org(connection: Connection, name: str, description: str | None) -> int:
    """Adds an organisation; returns the ID."""
    (org_id,) = connection.execute(
        "INSERT INTO orgs (name, key, description) VALUES (?, ?, ?) RETURNING id",
        (name, fold(name), description),
    ).fetchone()
    return int(org_id)


def update_org(connection: Connection, org_id: int, fields: Mapping[str, str | None]) -> None:
    """Sets the name, the description, or both."""
    if "name" in fields:
        name = fields["name"] or ""
        connection.execute("UPDATE orgs SET name = ?, key = ? WHERE id = ?", (name, fold(name), org_id))
    if "description" in fields:
        connection.execute("UPDATE orgs SET description = ? WHERE id = ?", (fields["description"], org_id))


def set_domains(connection: Connection, org_id: int, domain_ids: Sequence[int]) -> None:
    """Replaces the organisation's domains. Its other domains then belong to no organisation."""
    connection.execute("UPDATE domains SET org_id = NULL WHERE org_id = ?", (org_id,))
    connection.executemany("UPDATE domains SET org_id = ? WHERE id = ?", [(org_id, each) for each in domain_ids])


def delete_org(connection: Connection, org_id: int) -> None:
    """Removes an organisation. Its domains then belong to none."""
    connection.execute("DELETE FROM orgs WHERE id = ?", (org_id,))
