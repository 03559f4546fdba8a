"""What is asked on the readers of logins and of reads by key is quick, whatever is stored: no table is read whole."""

from typing import Any

import pytest

from postroom.app.routes import ROUTES
from postroom.storage.lanes import Lane
from tests.support.service import Api, Service

pytestmark = pytest.mark.sqlite

#: What a domain may have ten thousands of.
LARGE = {
    "users", "addresses", "properties", "devices", "grants", "store_access", "task_items", "user_roles", "fetchmail",
    "wipe_history", "due_resyncs", "forwards", "oof",
}  # fmt: skip


async def test_no_operation_reads_a_table_there(
    service: Service, admin: Api, domain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every operation of the table is tried; SQLite itself tells how it would run what it asks."""
    await admin.make_user(domain, "jane")
    database = service.context.database
    asked: set[tuple[str, int]] = set()
    plain = Lane.run

    async def run(lane: Lane, function: Any, args: tuple[Any, ...]) -> Any:
        if lane in (database._look_ups, database._keyed_reads) and len(args) == 2:
            asked.add((args[0], len(args[1])))
        return await plain(lane, function, args)

    monkeypatch.setattr(Lane, "run", run)
    for route in ROUTES:
        if route.method == "GET":
            ids = {"domainID": domain, "userID": 1, "ID": 1, "deviceID": "phone"}
            path = route.path.format(**ids, username="jane@example.org", name="x")
            query = f"domain={domain}&ID=1&query=abc&devices=phone&properties=comment&address=jane@example.org"
            await admin.call("GET", f"{path}?{query}")
    await service.login("admin", "correct horse")
    assert len(asked) > 15
    for sql, params in asked:
        plan = await database.fetch_all(f"EXPLAIN QUERY PLAN {sql}", [None] * params)
        aliases = {line.split()[1] for (_, _, _, line) in plan if line.startswith("SCAN ")}
        tables = {name for alias in aliases for name in LARGE if alias == name or f" {name} {alias}\n" in f"{sql}\n"}
        assert not tables, (sql, plan)
