"""How the parts of the service are doing, in one answer."""

import asyncio
from typing import Any, Final

from postroom.app.services.context import Context
from postroom.storage.ldap_configs import list_ldap_configs
from postroom.storage.tasks import select_queued_count

#: Most directories that are asked, in the order in which they were configured.
_MOST_DIRECTORIES: Final = 20

JSON = dict[str, Any]


async def describe(context: Context) -> JSON:
    """The response to GET /system/health. Takes about two seconds at most. Raises UnavailableError (the database)."""
    await context.database.check()
    parts = [_part("database", works=True, detail=context.database.engine), await _tasks(context)]
    parts += await _directories(context)
    if context.backups.wanted:
        parts.append(await _backup(context))
    return {"works": all(part["works"] for part in parts), "data": parts}


def _part(name: str, *, works: bool, detail: str = "", org_id: int | None = None) -> JSON:
    return {"part": name, "works": works, "detail": detail, "orgID": org_id}


async def _tasks(context: Context) -> JSON:
    waiting = await select_queued_count(context.database)
    return _part("tasks", works=await context.tasks.is_open(), detail=f"{waiting} waiting")


async def _directories(context: Context) -> list[JSON]:
    """Those that are in use, each by its servers."""
    found = await context.database.look_up_by(list_ldap_configs)
    used = [(org_id, row) for org_id, row in found if not row.document.get("disabled")][:_MOST_DIRECTORIES]
    answers = await asyncio.gather(*(context.directories.answers(row) for _, row in used))
    return [
        _part("directory", works=works, detail=row.document["connection"]["server"], org_id=org_id)
        for (org_id, row), works in zip(used, answers, strict=True)
    ]


async def _backup(context: Context) -> JSON:
    state = await context.backups.state()
    failure = state["error"]
    return _part("backup", works=failure is None, detail=str(failure or state["time"] or "none yet"))
