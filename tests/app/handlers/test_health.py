"""Whether each part of the service works, in one answer."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StartService
from tests.support.people import CONFIG, document
from tests.support.service import ADMIN_PASSWORD, Api, Service
from tests.support.slapd import Slapd


def parts(shown: dict[str, Any]) -> list[tuple[str, bool, int | None]]:
    """Name, whether it works, and organisation of each part."""
    return [(each["part"], each["works"], each["orgID"]) for each in shown["data"]]


async def test_what_is_not_there_is_left_out(admin: Api) -> None:
    """Without a directory and without backups, there are the database and the queue; a queue that was stopped shows."""
    shown = await admin.get("/system/health")
    assert (shown["works"], parts(shown)) == (True, [("database", True, None), ("tasks", True, None)])
    assert [each["detail"] for each in shown["data"]][1] == "0 waiting"
    await admin.call("POST", "/tasq/stop")
    shown = await admin.get("/system/health")
    assert (shown["works"], parts(shown)[1]) == (False, ("tasks", False, None))


@pytest.mark.slapd
async def test_directories(admin: Api) -> None:
    """Each that is in use is asked now, and told with its organisation; one that is switched off is left out."""
    orgs = [(await admin.post("/system/orgs", {"name": name}))["ID"] for name in ("one", "two")]
    with Slapd() as directory:
        await admin.put(CONFIG, document(directory))
        away = {**document(directory)["connection"], "server": "ldap://127.0.0.1:9"}
        await admin.put(f"/system/orgs/{orgs[0]}/ldap?force=true", {**document(directory), "connection": away})
        await admin.put(f"/system/orgs/{orgs[1]}/ldap?force=true", {**document(directory), "disabled": True})
        shown = await admin.get("/system/health")
        assert parts(shown)[2:] == [("directory", True, None), ("directory", False, orgs[0])]
        assert (shown["works"], shown["data"][3]["detail"]) == (False, "ldap://127.0.0.1:9")


async def test_backups(start_service: StartService, tmp_path: Path) -> None:
    """The newest backup, or why there is none; only for whoever may read everything."""
    service: Service = await start_service(
        database=str(tmp_path / "postroom.sqlite3"), backup_folder=str(tmp_path / "nowhere")
    )
    admin = await service.login("admin", ADMIN_PASSWORD)
    assert parts(await admin.get("/system/health"))[-1][0] == "backup"
    helper = await service.login_with(await admin.make_domain("example.org"), ("DomainAdmin", {"everything": True}))
    await helper.refused(403, "GET", "/system/health")
