import asyncio
import time

import pytest

from tests.conftest import StartService
from tests.support.faults import MODES, fault_server
from tests.support.service import ADMIN_PASSWORD

TIMEOUT = 0.6


@pytest.mark.parametrize("mode", MODES)
async def test_a_broken_directory_stops_nobody_else(start_service: StartService, mode: str) -> None:
    """An update from a broken directory is answered 503 in time, naming it, and other requests are answered meanwhile;
    the user stays as they were."""
    service = await start_service(ldap_timeout=TIMEOUT)
    admin = await service.login("admin", ADMIN_PASSWORD)
    domain = await admin.make_domain("example.org")
    user = await admin.make_user(domain, "anna")
    path = f"/domains/{domain}/users/{user['ID']}"
    async with fault_server(mode) as address:
        document = {
            "connection": {"server": address, "bindUser": "cn=x", "bindPass": "geheim"},
            "baseDn": "dc=x",
            "objectID": "entryUUID",
            "users": {"username": "mail"},
        }
        await admin.put("/system/mconf/ldap", document, params={"force": "true"})
        before = await admin.get(path)
        begun = time.monotonic()
        answered = 0
        update = asyncio.create_task(admin.refused(503, "PUT", f"{path}/downsync", params={"ID": "x"}))
        while not update.done():
            assert await admin.get(path) == before
            answered += 1
        reason = await update
        elapsed = time.monotonic() - begun
        assert elapsed < TIMEOUT + 1
        assert address in reason
        assert "geheim" not in reason
        # Whatever held up the others for the whole time would leave one or two, and a busy machine leaves many.
        assert answered > 10 * elapsed
        assert await admin.get(path) == before
