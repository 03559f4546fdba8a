"""Everything is exported, imported into an empty store, and is the same there."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from postroom.app.exchange.exporting import write_lines, write_tables
from postroom.app.exchange.importing import Source
from postroom.app.services.imports import Import
from postroom.app.transactions.imports import Importer
from postroom.app.transactions.records import Moment
from postroom.schemas.records import KINDS
from postroom.storage.seed_extent import Extent
from postroom.storage.seeds import list_records
from tests.conftest import StartService
from tests.support.service import ADMIN_PASSWORD, USER_PASSWORD, Service
from tests.support.whole_store import documents, fill

#: What is not exported: the record of changes and tasks.
_NOT_EXPORTED = ("/audit", "/tasq")


async def exported(service: Service) -> list[tuple[str, dict[str, Any]]]:
    """All records of a service."""
    extent = Extent(datetime.now(UTC), secrets=True, exact=True)
    return await service.context.database.read(lambda connection: [*list_records(connection, extent)])


async def imported(service: Service, source: Source) -> tuple[Import, list[str]]:
    """Imports everything; the import, and what was refused."""
    refused: list[str] = []
    job = Import(service.context, lambda what, why: refused.append(f"{what}: {why}"), lambda _: None)
    await job.run(source.records())
    source.close()
    return job, refused


@pytest.mark.parametrize("form", ["lines", "tables"])
async def test_the_same_documents(start_service: StartService, tmp_path: Path, form: str) -> None:
    """With every ID, time, hash and history, whatever the API shows of people."""
    first = await start_service()
    admin = await first.login("admin", ADMIN_PASSWORD)
    await fill(first, admin)
    records = await exported(first)
    second = await start_service(database=str(tmp_path / "second.sqlite3"))
    if form == "lines":
        stream = io.BytesIO()
        write_lines(records, stream)
        source = Source(None, io.BytesIO(stream.getvalue()))
    else:
        write_tables(records, tmp_path)
        source = Source(tmp_path, io.BytesIO())
    job, refused = await imported(second, source)
    assert refused == []
    assert job.stored.total() == len(records)
    assert await exported(second) == records
    there, here = await documents(await second.login("admin", ADMIN_PASSWORD)), await documents(admin)
    for path, shown in here.items():
        if not path.startswith(_NOT_EXPORTED):
            assert there[path] == shown, path
    await second.login("jane@example.org", USER_PASSWORD)


async def test_ids_that_go_back(start_service: StartService, tmp_path: Path) -> None:
    """IDs keep ascending, whatever order a file has, and the service still has IDs for whoever comes next."""
    service = await start_service(database=str(tmp_path / "here.sqlite3"))
    mail = {"srcServer": "x.example", "srcUser": "x", "srcPassword": "secret"}
    lines = [
        {"domain": {"ID": 9, "domainname": "example.org"}},
        {"domain": {"ID": 5, "domainname": "example.com"}},
        {"user": {"ID": 2**63 - 1, "username": "a@example.org"}},
        {"user": {"ID": 30, "username": "b@example.org"}},
        {"user": {"ID": 30, "username": "c@example.org", "fetchmail": [{**mail, "ID": 2**63 - 1}]}},
        {"user": {"ID": 28, "username": "d@example.org"}},
    ]
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    job, refused = await imported(service, Source(None, io.BytesIO(text.encode())))
    assert dict(job.stored) == {"domain": 2, "user": 3}
    assert len(refused) == 1
    assert "less than or equal to 9007199254740991" in refused[0]
    admin = await service.login("admin", ADMIN_PASSWORD)
    ids = {user["username"]: user["ID"] for user in (await admin.get("/domains/9/users"))["data"]}
    assert ids["b@example.org"] == 30 < ids["c@example.org"] < ids["d@example.org"]
    for number in range(5):
        await admin.make_user(9, f"new{number}")
        new = {"fetchmail": [{**mail, "srcUser": f"x{number}"}]}
        await admin.patch(f"/domains/9/users/{ids['c@example.org']}", new)


@pytest.mark.parametrize("status", [1, 2, 3])
async def test_a_kill_half_way(start_service: StartService, tmp_path: Path, status: int) -> None:
    """Leaves no domain open that is closed in the file: what is due at the end never comes."""
    service = await start_service(database=str(tmp_path / "here.sqlite3"))
    importer = Importer(Moment("2026-01-01 00:00:00", UTC, 0), keep=True)
    domain = KINDS["domain"].load({"domainname": "example.org", "domainStatus": status})
    due = await service.context.database.write(importer.add, "domain", domain, None)
    assert [later.value for later in due if later.what == "domainStatus"] == [status]
    admin = await service.login("admin", ADMIN_PASSWORD)
    assert (await admin.get("/system/domains/1"))["domainStatus"] == 1
    await admin.make_user(1, "late")
