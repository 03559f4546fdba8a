"""What devices of a server of a test do: they synchronise, and wipe themselves."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from postroom.app.transactions import devices
from postroom.app.transactions.devices import Origin
from postroom.app.transactions.wipe import Event, Kind
from postroom.testing import PASSWORD, HarnessError, Server, running, running_in_thread
from tests.support.service import Api, Service

ANNA = "anna@example.org"
PATH = "/domains/1/users/1/sync"
CHRISTMAS, SECONDS = "2026-12-24 08:00:00", 1_798_099_200
_HISTORY = "SELECT device_id, status, time, remote_ip FROM wipe_history ORDER BY id"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server with a user, whose clock stands still at Christmas."""
    async with running({"users": [{"username": "anna", "aliases": ["a@example.org"]}]}, clock=CHRISTMAS) as started:
        yield started


async def device(server: Server) -> dict[str, Any]:
    """The only device of the user, as the API shows it."""
    ((found,)) = (await server.admin.get(PATH))["data"]
    return dict(found)


async def wipe(server: Server, device_id: str = "phone", status: int = 2) -> None:
    """The administrator wants a device to be wiped."""
    await server.admin.post(f"{PATH}/{device_id}/wipe", {"password": PASSWORD, "status": status})


async def history(server: Server) -> list[tuple[str, int]]:
    """(device ID, status) of each change of a wipe status, in order."""
    rows = await server.context.database.fetch_all(_HISTORY)
    assert {tuple(row[2:]) for row in rows} <= {(SECONDS, "127.0.0.1")}
    return [tuple(row[:2]) for row in rows]


async def test_a_device_appears(server: Server) -> None:
    """With what it says of itself; the clock of the server stamps it. It accepts its policy."""
    state = {"devicetype": "iPhone", "useragent": "Apple/1", "foldersSyncable": 9, "foldersSynced": 7}
    told = await server.device_syncs("A@example.org", "phone", asversion="16.1", **state)
    assert told == {"resync": False, "status": 1}
    times = dict.fromkeys(("firstsynctime", "lastupdatetime", "lastconnecttime"), SECONDS)
    names = {"deviceid": "phone", "deviceuser": "A@example.org", "asversion": "16.1"}
    assert await device(server) == {**state, **times, **names, "wipeStatus": 1}
    assert await history(server) == [("phone", 1)]
    server.clock.move(60)
    assert await server.device_syncs(ANNA, "phone", foldersSynced=8) == told
    later = dict.fromkeys(("lastupdatetime", "lastconnecttime"), SECONDS + 60)
    names["deviceuser"] = ANNA
    assert await device(server) == {**state, **times, **later, **names, "foldersSynced": 8, "wipeStatus": 1}
    assert await history(server) == [("phone", 1)]


async def test_a_device_starts_over_once(server: Server) -> None:
    """When that was requested, and when it comes back after it was removed."""
    await server.device_syncs(ANNA, "phone", devicetype="iPhone", foldersSynced=7)
    await server.admin.put(f"{PATH}/phone/resync")
    server.clock.move(60)
    assert [(await server.device_syncs(ANNA, "phone"))["resync"] for _ in range(2)] == [True, False]
    found = await device(server)
    assert (found["firstsynctime"], found["foldersSynced"], found["devicetype"]) == (SECONDS + 60, 0, "iPhone")
    await server.admin.delete(f"{PATH}/phone")
    assert (await server.device_syncs(ANNA, "phone"))["resync"] is True


@pytest.mark.parametrize(("wanted", "told", "done"), [(2, 4, 8), (16, 32, 64)])
async def test_a_device_is_wiped(server: Server, wanted: int, told: int, done: int) -> None:
    """It is told when it connects, whereupon it does not synchronise, and acknowledges; each step is in the history."""
    await server.device_syncs(ANNA, "phone", foldersSynced=7)
    before = await device(server)
    await wipe(server, status=wanted)
    for _ in range(2):
        assert await server.device_syncs(ANNA, "phone", foldersSynced=9) == {"resync": False, "status": told}
    assert await device(server) == {**before, "wipeStatus": told}
    for _ in range(2):
        assert await server.device_acknowledges_wipe(ANNA, "phone") == {"status": done}
    # Wiped, and not told again: that would be another wipe, which needs a password.
    assert await server.device_syncs(ANNA, "phone") == {"resync": False, "status": done}
    assert await history(server) == [("phone", status) for status in (1, wanted, told, done)]
    await server.admin.delete(f"{PATH}/phone/wipe")
    assert await server.device_syncs(ANNA, "phone", foldersSynced=9) == {"resync": False, "status": 1}


async def test_a_device_that_was_never_seen_is_wiped(server: Server) -> None:
    """It is told and acknowledges in one contact, and both are in the history and in the record of changes."""
    await wipe(server, "tablet")
    assert await server.device_acknowledges_wipe(ANNA, "tablet") == {"status": 8}
    found = await device(server)
    assert (found["firstsynctime"], found["lastconnecttime"], found["wipeStatus"]) == (None, SECONDS, 8)
    assert await history(server) == [("tablet", 2), ("tablet", 4), ("tablet", 8)]
    rows = (await server.admin.get("/audit", {"name": ANNA, "means": "service", "limit": 1}))["data"]
    assert rows[0]["changes"] == {"devices.tablet.wipeStatus": [2, 8]}


async def test_what_a_device_cannot_do(server: Server) -> None:
    """The message says what and why, and nothing is stored."""
    await server.device_syncs(ANNA, "phone")
    for user, name, reason in (
        ("bert@example.org", "phone", "There is no user 'bert@example.org'"),
        (ANNA, "tablet", f"The user {ANNA} has no device tablet"),
        (ANNA, "phone", f"The device phone of {ANNA} is not to be wiped: its wipe status is 1"),
        (ANNA, "a phone", "device: 'a phone' is no device ID"),
    ):
        with pytest.raises(HarnessError, match=f"^device_acknowledges_wipe: {reason}"):
            await server.device_acknowledges_wipe(user, name)
    for user, state, reason in (
        ("bert@example.org", {}, "There is no user 'bert@example.org'"),
        (ANNA, {"colour": "red"}, "colour: Unknown field"),
        (ANNA, {"foldersSynced": -1}, "foldersSynced: Must be greater"),
        (ANNA, {"wipeStatus": 8}, "wipeStatus: Unknown field"),
    ):
        with pytest.raises(HarnessError, match=f"^device_syncs: {reason}"):
            await server.device_syncs(user, "watch", **state)
    assert (await device(server))["deviceid"] == "phone"


def test_without_asyncio() -> None:
    """The same."""
    with running_in_thread({"users": ["anna"]}) as server:
        assert server.device_syncs(ANNA, "phone", devicetype="iPhone") == {"resync": False, "status": 1}
        server.admin.post(f"{PATH}/phone/wipe", {"password": PASSWORD})
        assert server.device_acknowledges_wipe(ANNA, "phone") == {"status": 8}


async def test_on_either_engine(service: Service, admin: Api, domain: int) -> None:
    """What a contact stores is stored by both."""
    user = await admin.make_user(domain, "jane")
    path, origin = f"/domains/{domain}/users/{user['ID']}/sync", Origin(SECONDS, "127.0.0.1")
    place = ("jane@example.org", "phone")
    assert await service.context.database.write(devices.sync_device, *place, {}, origin) == (False, 1)
    await admin.put(f"{path}/phone/resync")
    assert await service.context.database.write(devices.sync_device, *place, {}, origin) == (True, 1)
    await service.context.database.write(
        devices.change_wipe, domain, user["ID"], "phone", Event(Kind.REQUEST, 2), origin
    )
    assert await service.context.database.write(devices.acknowledge_wipe, *place, origin) == 8
    ((found,)) = (await admin.get(path))["data"]
    assert (found["firstsynctime"], found["lastconnecttime"], found["wipeStatus"]) == (SECONDS, SECONDS, 8)
