"""A seed holds what is in every table, or there is a reason why it does not."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from postroom.storage.database import Database
from postroom.storage.moving.tables import TABLES
from postroom.storage.seed_extent import Extent
from postroom.storage.seeds import read_seed
from postroom.storage.users import MAGIC_LDAP, replace_addresses
from postroom.testing import running
from tests.support.service import Api, Service
from tests.support.whole_store import fill

#: Tables that are not in seeds, and why.
LEFT_OUT: Final = {
    "sealing": "which key has encrypted the secrets",
    "auth_generation": "counts what changes permissions",
    "display_type_counts": "follows from the users",
    "sessions": "logins at another server",
    "tasks": "work of another server",
    "task_items": "work of another server",
    "wipe_history": "what has happened, not what there is",
    "audit": "what has happened, not what there is",
}
#: Columns of the other tables that are made anew: when and where something happened, and what is encrypted or counted.
MADE_ANEW: Final = {
    "users": {"token_epoch", "kept_session", "kept_epoch"},
    "domains": {"token_epoch"},
    "api_tokens": {"created", "last_used", "last_source"},
    "fetchmail": {"src_password", "date"},
    "ldap_configs": {"bind_pass"},
}
#: Which rows are in seeds: of the settings that of the API, and of users not the administrator, whom every store has.
CONDITIONS: Final = {"settings": "name = 'auth_backend'", "properties": "name <> 'creationtime'", "users": "id <> 0"}
#: Column -> the table whose IDs it holds.
REFERS: Final = {
    "user_id": "users", "member_id": "users", "domain_id": "domains", "made_for": "domains", "org_id": "orgs",
    "role_id": "roles", "token_id": "api_tokens",
}  # fmt: skip
#: Rows of these have no names and are in no order that matters.
UNNUMBERED: Final = {"addresses", "properties", "fetchmail", "due_resyncs", "ldap_configs", "create_defaults"}


async def rows(database: Database, table: str, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Those of a table, without what is made anew, and with IDs that count from 1 without gaps."""
    kept = [name for name in columns if name not in MADE_ANEW.get(table, ())]
    if table in UNNUMBERED:
        kept.remove("id")
    condition = CONDITIONS.get(table, "1 = 1")
    found = await database.fetch_all(f"SELECT {', '.join(kept)} FROM {table} WHERE {condition}")
    return [await named(database, table, dict(zip(kept, row, strict=True))) for row in found]


async def named(database: Database, table: str, row: dict[str, Any]) -> dict[str, Any]:
    """The row as another store would have it."""
    for name, value in row.items():
        refers = table if name == "id" else REFERS.get(name)
        if refers is not None and value is not None:
            sql = f"SELECT count(*) FROM {refers} WHERE id <= ?"
            ((row[name],),) = await database.fetch_all(sql, (value,))
        else:
            # PostgreSQL keeps the numbers among the values of properties as their digits.
            row[name] = value if value is None else re.sub(r"contact-\d+", "contact", str(value))
    return row


async def test_every_table_is_in_a_seed(service: Service, admin: Api) -> None:
    """What another server makes of the seed of a whole store has the same rows."""
    await fill(service, admin)
    await admin.patch("/domains/1/users/2", {"properties": {"displaytypeex": 7}})
    await admin.post("/system/domains?createRole=true", {"domainname": "made.example", "maxUser": 1})
    await service.context.database.write(replace_addresses, 1, "altname", [("jd", 0), ("from-ldap", MAGIC_LDAP)])
    seed = await service.context.database.read(read_seed, Extent(datetime.now(UTC), secrets=True))
    async with running(seed) as server:
        different = {}
        copy = server.context.database
        for table in TABLES.keys() - LEFT_OUT:
            found = await copy.fetch_all("SELECT name FROM pragma_table_info(?)", (table,))
            columns = [name for (name,) in found]
            there, here = [await rows(each, table, columns) for each in (service.context.database, copy)]
            assert there, table
            lost, new = [row for row in there if row not in here], [row for row in here if row not in there]
            if lost or new:
                different[table] = lost, new
        assert different == {}
        assert LEFT_OUT.keys() <= TABLES.keys()
