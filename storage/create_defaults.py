"""Create defaults of new users and domains: those for all domains, and the differences of single domains."""

import orjson

from postroom.schemas.values.create_defaults import NONE, Defaults
from postroom.storage.database import Database
from postroom.storage.engine import Connection


async def select_defaults(database: Database, domain_id: int | None) -> Defaults | None:
    """The defaults of one domain, or (None) those of all domains. None when there is no such domain."""
    if domain_id is None:
        found = await database.fetch_by_key("SELECT document FROM create_defaults WHERE domain_id IS NULL", ())
        return _parse(found)
    row = await database.fetch_row_by_key(
        "SELECT c.document FROM domains d LEFT JOIN create_defaults c ON c.domain_id = d.id WHERE d.id = ?",
        (domain_id,),
    )
    return _parse(row[0]) if row else None


def read_defaults(connection: Connection, domain_id: int | None) -> Defaults:
    """Like select_defaults, inside a transaction. Empty defaults if none are stored."""
    sql = "SELECT document FROM create_defaults WHERE domain_id IS NOT DISTINCT FROM ?"
    row = connection.execute(sql, (domain_id,)).fetchone()
    return _parse(row[0] if row else None)


_SELECT_LAYERS = """
    SELECT document
      FROM create_defaults
     WHERE domain_id IS NULL OR domain_id = ?
     ORDER BY domain_id NULLS FIRST
"""


def read_layers(connection: Connection, domain_id: int) -> list[Defaults]:
    """The stored defaults that apply to a domain, as far as they exist: first those of all domains, then its own."""
    rows = connection.execute(_SELECT_LAYERS, (domain_id,)).fetchall()
    return [_parse(row[0]) for row in rows]


def replace_defaults(connection: Connection, domain_id: int | None, defaults: Defaults) -> None:
    """Stores the defaults of one domain, or (None) those of all domains."""
    connection.execute("DELETE FROM create_defaults WHERE domain_id IS NOT DISTINCT FROM ?", (domain_id,))
    connection.execute(
        "INSERT INTO create_defaults (domain_id, document) VALUES (?, ?)", (domain_id, orjson.dumps(defaults).decode())
    )


def _parse(document: str | None) -> Defaults:
    stored: Defaults = orjson.loads(document) if document else {}
    return {**NONE, **stored}
