"""The ActiveSync devices of a user over HTTP, as an administrator sees them."""

import asyncio
import time
from ipaddress import ip_network
from typing import Any

import pytest
from yarl import URL

from tests.conftest import StartService
from tests.support.service import ADMIN_PASSWORD, USER_PASSWORD, Api, Service

OPERATIONS = [
    ("GET", ""),
    ("DELETE", ""),
    ("DELETE", "/phone"),
    ("PUT", "/phone/resync"),
    ("POST", "/phone/wipe"),
    ("DELETE", "/phone/wipe"),
]
STATE = {
    "devicetype": "iPhone", "useragent": "Apple-iPhone/1", "deviceuser": "jane", "firstsynctime": 1_700_000_000,
    "lastupdatetime": 1_700_000_100, "lastconnecttime": 1_700_000_200, "asversion": "16.1", "foldersSyncable": 9,
    "foldersSynced": 7,
}  # fmt: skip
WIPE = {"password": ADMIN_PASSWORD}


@pytest.fixture
async def sync(admin: Api, domain: int) -> str:
    """The path of the devices of a user jane@example.org, who has none."""
    user = await admin.make_user(domain, "jane")
    return f"/domains/{domain}/users/{user['ID']}/sync"


async def report(service: Service, device_id: str, **state: Any) -> dict[str, Any]:
    """What the ActiveSync server hears when it reports a device of jane's."""
    answer = await service.api.put(f"/service/sync/jane@example.org/{device_id}", state)
    due: dict[str, Any] = answer["data"]
    return due


async def history(service: Service) -> list[tuple[str, str, int]]:
    """(device ID, source address, status) of all changes, in order."""
    rows = await service.context.database.fetch_all(
        "SELECT device_id, remote_ip, status, time FROM wipe_history ORDER BY id"
    )
    assert all(abs(row[3] - time.time()) < 60 for row in rows)
    return [row[:3] for row in rows]


async def statuses(admin: Api, sync: str) -> dict[str, int]:
    """Wipe status by device ID."""
    return {each["deviceid"]: each["wipeStatus"] for each in (await admin.get(sync))["data"]}


async def test_devices_as_reported(service: Service, admin: Api, sync: str) -> None:
    """Every field comes back as it was reported, and the devices stand in the order of their IDs."""
    assert await admin.get(sync) == {"data": []}
    await report(service, "phone", **STATE)
    await report(service, "Tablet", **{**STATE, "asversion": 14.1})
    assert await admin.get(sync) == {
        "data": [
            {"deviceid": "Tablet", **STATE, "asversion": 14.1, "wipeStatus": 0},
            {"deviceid": "phone", **STATE, "wipeStatus": 0},
        ]
    }


async def test_text_is_never_null(admin: Api, sync: str) -> None:
    """A device of which only a wipe is known has empty texts, no times, and counts of 0."""
    await admin.call("POST", f"{sync}/phone/wipe", WIPE)
    (device,) = (await admin.get(sync))["data"]
    assert {name: device[name] for name in ("devicetype", "useragent", "deviceuser", "asversion")} == {
        "devicetype": "", "useragent": "", "deviceuser": "", "asversion": "",
    }  # fmt: skip
    assert [device[name] for name in ("firstsynctime", "lastupdatetime", "lastconnecttime")] == [None] * 3
    assert (device["foldersSyncable"], device["foldersSynced"]) == (0, 0)


async def test_devices_are_their_owners(service: Service, admin: Api, domain: int, sync: str) -> None:
    """A device of the same ID is another device with another user, and goes with its user."""
    other = await admin.make_user(domain, "john")
    await report(service, "phone")
    await service.api.put("/service/sync/john@example.org/phone", {"devicetype": "other"})
    await admin.delete(f"{sync}/phone")
    (device,) = (await admin.get(f"/domains/{domain}/users/{other['ID']}/sync"))["data"]
    assert device["devicetype"] == "other"
    await admin.delete(f"/domains/{domain}/users/{other['ID']}")
    for table in ("devices", "due_resyncs", "wipe_history"):
        count = f"SELECT count(*) FROM {table} WHERE user_id = ?"
        assert await service.context.database.fetch_value(count, (other["ID"],)) == 0


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
async def test_users_of_other_domains_are_not_there(
    service: Service, admin: Api, sync: str, method: str, path: str
) -> None:
    """A user of another domain, or none at all, is 404 for everyone, and nothing happens."""
    await report(service, "phone")
    other = await admin.make_domain("example.net")
    for wrong in (sync.replace("/domains/1/", f"/domains/{other}/"), sync.replace("users/1/", "users/99/"), sync + "x"):
        for body in (None, WIPE) if method == "POST" else (None,):
            await admin.refused(404, method, wrong + path, body)
    assert await statuses(admin, sync) == {"phone": 0}
    assert (await report(service, "phone")) == {"resync": False, "status": 0}


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
async def test_permissions(service: Service, admin: Api, sync: str, method: str, path: str) -> None:
    """Reading needs read, everything else write on the very domain."""
    await report(service, "phone")
    other = await admin.make_domain("example.net")
    body = {"password": USER_PASSWORD} if method == "POST" else None
    readonly = await service.login_with(1, ("DomainAdminRO", {"domain_id": 1}), name="reader")
    foreign = await service.login_with(other, ("DomainAdmin", {"domain_id": other}), name="foreign")
    own = await service.login_with(1, ("DomainAdmin", {"domain_id": 1}), name="own")
    await service.api.refused(401, method, sync + path, body)
    await foreign.refused(403, method, sync + path, body)
    assert (await readonly.call(method, sync + path, body)).status == (200 if method == "GET" else 403)
    assert (await own.call(method, sync + path, body)).status == 200


@pytest.mark.parametrize(
    "device_id",
    [
        "a%2Fb",
        "%2F",
        "a%00",
        "a%20b",
        "%F0%9F%98%80",
        "%FF",
        "%C3%B6",
        "a%25",
        "x" * 65,
        "x" * 3000,
        "a;b",
        "a,b",
        "a%0Ab",
    ],
)
async def test_bad_device_ids(service: Service, admin: Api, sync: str, device_id: str) -> None:
    """What is no device ID is 400 everywhere, and stores nothing."""
    for method, path in OPERATIONS[2:]:
        url = f"{sync}{path.replace('phone', device_id)}"
        await refused_raw(admin, method, url, WIPE if method == "POST" else None)
    await refused_raw(service.api, "PUT", f"/service/sync/jane@example.org/{device_id}", {})
    assert await admin.get(sync) == {"data": []}
    assert await history(service) == []


async def refused_raw(api: Api, method: str, path: str, body: Any) -> None:
    """A call with the path as it stands has to fail with 400."""
    url = URL(f"{api.service.url}/api/v1{path}", encoded=True)
    async with api.service.session.request(method, url, json=body, headers=api.headers) as response:
        assert response.status == 400, await response.text()
        assert set(await response.json()) == {"message", "errors"}


async def test_longest_device_id(admin: Api, sync: str) -> None:
    """64 characters of every kind that is allowed are a device ID."""
    device_id = ("aZ09._:-" * 8)[:64]
    await admin.call("POST", f"{sync}/{device_id}/wipe", WIPE)
    assert await statuses(admin, sync) == {device_id: 2}


async def test_remove_device(service: Service, admin: Api, sync: str) -> None:
    """A removed device is gone; should it come back, it has to start over, once."""
    await report(service, "phone", **STATE)
    await report(service, "tablet")
    await admin.delete(f"{sync}/phone")
    assert await statuses(admin, sync) == {"tablet": 0}
    for method, path in (("DELETE", "/phone"), ("PUT", "/phone/resync")):
        assert "phone" in await admin.refused(404, method, sync + path)
    assert [await report(service, "phone") for _ in range(2)] == [
        {"resync": True, "status": 0},
        {"resync": False, "status": 0},
    ]
    assert (await admin.get(sync))["data"][0]["devicetype"] == ""


async def test_remove_all_states(service: Service, admin: Api, sync: str) -> None:
    """All states go, but a device that is to be wiped stays to be wiped, without its state."""
    for device_id in ("lost", "old", "phone"):
        await report(service, device_id, **STATE)
    await admin.call("POST", f"{sync}/lost/wipe", WIPE)
    await admin.call("POST", f"{sync}/old/wipe", WIPE)
    await service.api.post("/service/wipe/jane@example.org?devices=old", {"status": 8})
    await admin.delete(sync)
    (device,) = (await admin.get(sync))["data"]
    assert (device["deviceid"], device["devicetype"], device["wipeStatus"]) == ("lost", "iPhone", 2)
    assert (device["firstsynctime"], device["lastconnecttime"], device["foldersSynced"]) == (None, None, 0)
    assert await report(service, "lost") == {"resync": True, "status": 2}
    assert await report(service, "old") == {"resync": True, "status": 0}
    assert [row[2] for row in await history(service)] == [2, 2, 8, 0]


async def test_resync(service: Service, admin: Api, sync: str) -> None:
    """A device that has to start over keeps its row, and is told once, however often it was asked for."""
    await report(service, "phone", **STATE)
    for _ in range(2):
        assert "phone" in (await admin.put(f"{sync}/phone/resync"))["message"]
    assert (await admin.get(sync))["data"] == [{"deviceid": "phone", **STATE, "wipeStatus": 0}]
    assert [(await report(service, "phone"))["resync"] for _ in range(3)] == [True, False, False]


async def test_resync_is_told_to_one_of_many(service: Service, admin: Api, sync: str) -> None:
    """Of 20 reports at the same time exactly one hears that the device has to start over."""
    await report(service, "phone")
    await admin.put(f"{sync}/phone/resync")
    heard = await asyncio.gather(*(report(service, "phone", foldersSynced=number) for number in range(20)))
    assert sorted(each["resync"] for each in heard) == [False] * 19 + [True]


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/phone/wipe"), ("PUT", "/phone/resync"), ("DELETE", "/phone/wipe")]
)
async def test_empty_bodies(service: Service, admin: Api, sync: str, method: str, path: str) -> None:
    """A Content-Type without a body is no error: a wipe lacks its password then, the others need nothing."""
    await report(service, "phone")
    answer = await admin.call(method, sync + path, headers={"Content-Type": "application/json"})
    assert answer.status == (403 if method == "POST" else 200)


@pytest.mark.parametrize(("body", "status"), [({}, 2), ({"status": 2}, 2), ({"status": 16}, 16)])
async def test_wipe(service: Service, admin: Api, sync: str, body: dict[str, int], status: int) -> None:
    """A wipe is of the whole device unless the account is asked for; it is remembered, and so is who asked."""
    answer = await admin.call("POST", f"{sync}/phone/wipe", {**WIPE, **body})
    assert answer.status == 200
    assert await statuses(admin, sync) == {"phone": status}
    assert await history(service) == [("phone", "127.0.0.1", status)]


@pytest.mark.parametrize(
    "body", [None, {}, {"password": ""}, {"password": "wrong"}, {"status": 16}, {"password": USER_PASSWORD}]
)
async def test_wipe_needs_the_password_of_the_caller(
    service: Service, admin: Api, sync: str, body: dict[str, Any] | None
) -> None:
    """Without the caller's own password (the owner's is none) nothing happens, also when the wipe is under way."""
    await admin.refused(403, "POST", f"{sync}/phone/wipe", body)
    assert (await admin.get(sync), await history(service)) == ({"data": []}, [])
    await admin.call("POST", f"{sync}/phone/wipe", WIPE)
    await admin.refused(403, "POST", f"{sync}/phone/wipe", body)
    assert [row[2] for row in await history(service)] == [2]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"status": 1}, "status"),
        ({"status": 4}, "status"),
        ({"status": "2"}, "status"),
        ({"status": None}, "status"),
        ({"status": True}, "status"),
        ({"password": 5}, "password"),
        ({"password": "x" * 513}, "password"),
        ({"password": "nul\0"}, "password"),
        ({"remoteIP": "10.0.0.1"}, "remoteIP"),
        ([], "object"),
    ],
)
async def test_wipe_refuses(service: Service, admin: Api, sync: str, body: Any, named: str) -> None:
    """Wrong input is a 400 that names the field, and nothing is stored."""
    given = {**WIPE, **body} if isinstance(body, dict) else body
    assert named in await admin.refused(400, "POST", f"{sync}/phone/wipe", given)
    assert (await admin.get(sync), await history(service)) == ({"data": []}, [])


@pytest.mark.parametrize("status", [2, 4, 8, 16, 32, 64])
async def test_wipe_under_way_stays_as_it_is(service: Service, admin: Api, sync: str, status: int) -> None:
    """A second request changes nothing and leaves no trace."""
    body = {"status": status, "password": USER_PASSWORD}
    await service.api.post("/service/wipe/jane@example.org?devices=phone", body)
    for wanted in (2, 16):
        answer = await admin.call("POST", f"{sync}/phone/wipe", {**WIPE, "status": wanted})
        assert answer.status == 200
    assert await statuses(admin, sync) == {"phone": status}
    assert len(await history(service)) == 1


async def test_wipes_at_the_same_time(service: Service, admin: Api, sync: str) -> None:
    """Of many requests at the same time one starts the wipe."""
    bodies = [{**WIPE, "status": 2 if number % 2 else 16} for number in range(6)]
    answers = await asyncio.gather(*(admin.call("POST", f"{sync}/phone/wipe", body) for body in bodies))
    assert {answer.status for answer in answers} == {200}
    assert len(await history(service)) == 1


@pytest.mark.parametrize("status", [2, 4, 8, 16, 32, 64])
async def test_cancel(service: Service, admin: Api, sync: str, status: int) -> None:
    """A wipe in any state is taken back, once, and then needs the password to begin again."""
    body = {"status": status, "password": USER_PASSWORD}
    await service.api.post("/service/wipe/jane@example.org?devices=phone", body)
    for _ in range(2):
        await admin.delete(f"{sync}/phone/wipe")
    assert await statuses(admin, sync) == {"phone": 1}
    assert [row[2] for row in await history(service)] == [status, 1]
    await admin.refused(403, "POST", f"{sync}/phone/wipe")
    await admin.call("POST", f"{sync}/phone/wipe", WIPE)
    assert await statuses(admin, sync) == {"phone": 2}


async def test_cancel_where_nothing_is_pending(service: Service, admin: Api, sync: str) -> None:
    """Taking back what was never asked for is fine, and stores nothing, whether the device is known or not."""
    await report(service, "phone")
    for device_id in ("phone", "unknown"):
        await admin.delete(f"{sync}/{device_id}/wipe")
    assert await statuses(admin, sync) == {"phone": 0}
    assert await history(service) == []


async def test_history_outlives_the_device(service: Service, admin: Api, sync: str) -> None:
    """What was done to a device is known after it was removed, which ends its wipe."""
    await admin.call("POST", f"{sync}/phone/wipe", WIPE)
    await admin.delete(f"{sync}/phone")
    assert await history(service) == [("phone", "127.0.0.1", 2), ("phone", "127.0.0.1", 0)]


async def test_history_has_the_address_behind_a_known_proxy(start_service: StartService) -> None:
    """The source of a request that a configured proxy passes on is whom the proxy has seen."""
    service = await start_service(trusted_proxies=(ip_network("127.0.0.1"),))
    admin = await service.login("admin", ADMIN_PASSWORD)
    await admin.make_user(await admin.make_domain("example.org"), "jane")
    forwarded = {"X-Forwarded-For": "198.51.100.1, 203.0.113.5"}
    await admin.call("POST", "/domains/1/users/1/sync/phone/wipe", WIPE, headers=forwarded)
    assert await history(service) == [("phone", "203.0.113.5", 2)]
