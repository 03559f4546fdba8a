"""What the ActiveSync server asks and tells, over HTTP."""

import asyncio
from typing import Any

import pytest

from postroom.app.routes import ROUTES
from postroom.app.web.routing import Route
from postroom.schemas.sync_policy import DEFAULT_SYNC_POLICY
from tests.support.service import ADMIN_PASSWORD, USER_PASSWORD, Api, Service

WIPE = "/service/wipe/jane@example.org"
START = {"status": 2, "password": USER_PASSWORD}
NONSENSE = ["nobody@example.org", "nobody", "a%2Fb", "%00", "%FF", "%F0%9F%98%80", "x" * 3000, "'", "a@b@c", "%7B%7D"]


@pytest.fixture
async def jane(admin: Api, domain: int) -> dict[str, Any]:
    """A user jane@example.org, who is also j@example.org and logs in as JD."""
    return await admin.make_user(domain, "jane", aliases=["j@example.org"], altnames=[{"altname": "JD"}])


async def history(service: Service) -> list[tuple[str, int, str, int]]:
    """(device ID, time, source address, status) of all changes, in order."""
    return await service.context.database.fetch_all(
        "SELECT device_id, time, remote_ip, status FROM wipe_history ORDER BY id"
    )


async def statuses(api: Api, query: str = "") -> dict[str, int]:
    """Jane's wipe statuses by device ID."""
    answer = await api.get(WIPE + query)
    return {device_id: found["status"] for device_id, found in answer["data"].items()}


async def test_policy_is_overlaid(service: Service, admin: Api, domain: int, jane: dict[str, Any]) -> None:
    """A user's policy goes before the domain's, and that before the defaults."""
    path = "/service/syncPolicy/jane@example.org"
    assert await service.api.get(path) == {"data": DEFAULT_SYNC_POLICY}
    await admin.patch(f"/system/domains/{domain}", {"syncPolicy": {"allowcam": 0, "devpwhistory": 3}})
    await admin.patch(f"/domains/{domain}/users/{jane['ID']}", {"syncPolicy": {"allowcam": 1, "allowwifi": 0}})
    expected = {**DEFAULT_SYNC_POLICY, "allowcam": 1, "devpwhistory": 3, "allowwifi": 0}
    for name in ("jane@example.org", "JANE@Example.Org", "J@example.org"):
        assert await service.api.get(f"/service/syncPolicy/{name}") == {"data": expected}


@pytest.mark.parametrize("name", [*NONSENSE, "admin", "JD"])
async def test_policy_is_always_there(service: Service, jane: dict[str, Any], name: str) -> None:
    """Whoever is asked for, the answer is 200 and a whole policy: an empty one would be remembered for a day."""
    assert await service.api.get(f"/service/syncPolicy/{name}") == {"data": DEFAULT_SYNC_POLICY}


@pytest.mark.parametrize("name", [*NONSENSE, "JD"])
async def test_unknown_users(service: Service, jane: dict[str, Any], name: str) -> None:
    """Who is no user by username or alias is 404 everywhere else."""
    for kind in ("wipe", "userinfo", "lastconnect"):
        await service.api.refused(404, "GET", f"/service/{kind}/{name}?devices=a")
    await service.api.refused(404, "POST", f"/service/wipe/{name}?devices=a", START)
    await service.api.refused(404, "PUT", f"/service/sync/{name}/a", {})


async def test_user_information(service: Service, admin: Api, jane: dict[str, Any]) -> None:
    """The answer says whether the user is linked to a directory."""
    assert await service.api.get("/service/userinfo/J@EXAMPLE.org") == {"ldap": False}

    def link(connection: Any) -> None:
        connection.execute("UPDATE users SET ldap_id = 'x' WHERE id = ?", (jane["ID"],))

    await service.context.database.write(link)
    assert await service.api.get("/service/userinfo/jane@example.org") == {"ldap": True}


async def test_wipe_statuses(service: Service, jane: dict[str, Any]) -> None:
    """Those asked for are answered, unknown ones with 0; without names, or with none, all there are."""
    await service.api.post(f"{WIPE}?devices=b,a", {"status": 1})
    assert await statuses(service.api) == await statuses(service.api, "?devices=") == {"a": 1, "b": 1}
    assert await statuses(service.api, "?devices=a,c,a") == {"a": 1, "c": 0}
    assert await service.api.get("/service/wipe/J@example.org?devices=c") == {"data": {"c": {"status": 0}}}


async def test_last_contact(service: Service, jane: dict[str, Any]) -> None:
    """The last contact of a device is a UNIX time, and null and 0 where there was none."""
    path = "/service/lastconnect/jane@example.org"
    assert await service.api.get(path) == {"data": {}}
    await service.api.put("/service/sync/jane@example.org/a", {"lastconnecttime": 1_700_000_000})
    known = {"status": 1_700_000_000, "lastconnecttime": 1_700_000_000}
    assert await service.api.get(path) == {"data": {"a": known}}
    unknown = {"status": 0, "lastconnecttime": None}
    assert await service.api.get(f"{path}?devices=b,a") == {"data": {"b": unknown, "a": known}}


@pytest.mark.parametrize(
    "devices", ["a%2Fb", "a,%00", "x" * 65, "%F0%9F%98%80", "a%20b", ",".join(map(str, range(101)))]
)
async def test_bad_device_lists(service: Service, jane: dict[str, Any], devices: str) -> None:
    """What is no device ID, or too many of them, is 400 and changes none."""
    for kind in ("wipe", "lastconnect"):
        reasons = await service.api.refused(400, "GET", f"/service/{kind}/jane@example.org?devices={devices}")
        assert "devices" in reasons
    await service.api.refused(400, "POST", f"{WIPE}?devices={devices}", START)
    assert await statuses(service.api) == {}


@pytest.mark.parametrize("query", ["", "?devices=", "?devices=,", "?device=a"])
async def test_report_about_all_devices(service: Service, admin: Api, jane: dict[str, Any], query: str) -> None:
    """A report that names no device is about all that the user has, of whom none may have any, and nobody else's."""
    john = await admin.make_user(jane["domainID"], "john")
    await service.api.put(f"/service/sync/{john['username']}/c")
    await service.api.post(WIPE + query, START)
    assert (await statuses(service.api), await history(service)) == ({}, [])
    for device in "ba":
        await service.api.put(f"/service/sync/jane@example.org/{device}")
    await service.api.refused(403, "POST", WIPE + query, {"status": 2})
    await service.api.post(WIPE + query, START)
    assert await statuses(service.api) == {"a": 2, "b": 2}
    assert (await service.api.get(f"/service/wipe/{john['username']}"))["data"] == {"c": {"status": 0}}


async def test_message_of_success(service: Service, jane: dict[str, Any]) -> None:
    """A webmail takes every message that does not begin so for a failure."""
    assert (await service.api.post(f"{WIPE}?devices=a", START))["message"].startswith("Success")


@pytest.mark.parametrize("route", [route for route in ROUTES if "/service/" in route.path], ids=lambda r: r.path)
async def test_unknown_user_before_anything_else(service: Service, route: Route) -> None:
    """Whatever else is wrong with a request about nobody, the answer is that there is no such user."""
    path = route.path.format(username="nobody@example.org", deviceID="a") + "?devices=%00"
    body = None if route.method == "GET" else {"status": "nonsense"}
    answer = await service.api.call(route.method, path, body)
    # Policies and plugins have an answer for everyone.
    assert answer.status == (200 if "Policy" in route.path or "Plugins" in route.path else 404)


async def test_default_policy(service: Service, admin: Api, domain: int) -> None:
    """Who may read a domain reads the default policy also from elsewhere, and no user's."""
    for permission, about, status in (
        ("DomainAdminRO", {"domain_id": domain}, 200),
        ("OrgAdmin", {"everything": True}, 200),
        ("SystemAdminRO", {}, 200),
        ("ResetPasswd", {}, 403),
    ):
        caller = await service.login_with(domain, (permission, about), name=permission)
        # A request that passed a proxy has no address that could be trusted.
        caller.headers["X-Forwarded-For"] = "192.0.2.1"
        answer = await caller.call("GET", "/service/syncPolicy/default")
        assert answer.status == status
        assert status != 200 or answer.body["data"] == DEFAULT_SYNC_POLICY
        readable = 200 if permission == "SystemAdminRO" else 403
        for name in ("jane@example.org", "default@example.org", "Default"):
            assert (await caller.call("GET", f"/service/syncPolicy/{name}")).status == readable
    stranger = {"X-Forwarded-For": "192.0.2.1"}
    await service.api.refused(401, "GET", "/service/syncPolicy/default", headers=stranger)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (None, "object"),
        ([], "object"),
        ({}, "status"),
        ({"status": 3}, "status"),
        ({"status": 128}, "status"),
        ({"status": "2"}, "status"),
        ({"status": True}, "status"),
        ({"status": None}, "status"),
        ({**START, "time": "now"}, "time"),
        ({**START, "time": -1}, "time"),
        ({**START, "time": 1.5}, "time"),
        ({**START, "time": 2**63}, "time"),
        ({**START, "remoteIP": 1}, "remoteIP"),
        ({**START, "remoteIP": "x" * 65}, "remoteIP"),
        ({**START, "remoteIP": "10.0.0.1\n10.0.0.2"}, "remoteIP"),
        ({**START, "password": 5}, "password"),
        ({**START, "password": "x" * 513}, "password"),
        ({**START, "surprise": 1}, "surprise"),
    ],
)
async def test_report_refuses(service: Service, jane: dict[str, Any], body: Any, named: str) -> None:
    """Wrong input is a 400 that names the field, and changes no device."""
    assert named in await service.api.refused(400, "POST", f"{WIPE}?devices=a,b", body)
    assert (await statuses(service.api), await history(service)) == ({}, [])


@pytest.mark.parametrize("password", [None, "", "not hers", ADMIN_PASSWORD])
@pytest.mark.parametrize("status", [2, 4, 8, 16, 32, 64])
async def test_starting_a_wipe_needs_the_owners_password(
    service: Service, jane: dict[str, Any], status: int, password: str | None
) -> None:
    """Without the owner's password no wipe starts, at whatever stage, and not for a device among others either."""
    await service.api.post(f"{WIPE}?devices=b", {**START, "status": status})
    body = {"status": status} if password is None else {"status": status, "password": password}
    reasons = await service.api.refused(403, "POST", f"{WIPE}?devices=b,a", body)
    assert not password or password not in reasons
    assert await statuses(service.api, "?devices=a,b") == {"a": 0, "b": status}
    assert len(await history(service)) == 1


async def test_wipe_that_is_done_is_not_repeated_without_the_password(
    service: Service, admin: Api, jane: dict[str, Any]
) -> None:
    """Once a device is wiped or a wipe taken back, another one needs the password; so does more than was asked."""
    path = f"{WIPE}?devices=a"
    for before, after in ((8, 2), (64, 16), (16, 2), (1, 2)):
        await service.api.post(path, {**START, "status": before})
        await service.api.refused(403, "POST", path, {"status": after})
        await service.api.post(path, {"status": 1})
    await service.api.post(path, START)
    await admin.delete(f"/domains/{jane['domainID']}/users/{jane['ID']}/sync/a/wipe")
    await service.api.refused(403, "POST", path, {"status": 2})


async def test_report_says_when_and_from_where(service: Service, jane: dict[str, Any]) -> None:
    """The history has the time and the address of the report where it names them, and one row a change."""
    body = {**START, "time": 1_700_000_000, "remoteIP": "[2001:DB8::0:5]"}
    answer = await service.api.call("POST", f"{WIPE}?devices=b,a,b", body)
    assert (answer.status, set(answer.body)) == (201, {"message"})
    await service.api.post(f"{WIPE}?devices=b", body)
    address = body["remoteIP"]
    assert await history(service) == [("b", 1_700_000_000, address, 2), ("a", 1_700_000_000, address, 2)]
    await service.api.post(f"{WIPE}?devices=b", {"status": 4})
    assert (await history(service))[2][2:] == ("127.0.0.1", 4)


async def test_whole_cycle(service: Service, admin: Api, jane: dict[str, Any]) -> None:
    """A phone comes, synchronises, is wiped, comes back, loses the account, and starts over."""
    api, sync = service.api, "/service/sync/jane@example.org/phone"
    path = f"/domains/{jane['domainID']}/users/{jane['ID']}/sync/phone"
    assert (await api.get("/service/syncPolicy/jane@example.org"))["data"] == DEFAULT_SYNC_POLICY
    assert await statuses(api, "?devices=phone") == {"phone": 0}
    await api.post(f"{WIPE}?devices=phone", {"status": 1})
    assert (await api.put(sync, {"devicetype": "Pixel", "asversion": 16.1}))["data"] == {"resync": False, "status": 1}

    for first, second, third in ((2, 4, 8), (16, 32, 64)):
        await admin.call("POST", f"{path}/wipe", {"status": first, "password": ADMIN_PASSWORD})
        assert (await api.put(sync))["data"]["status"] == first
        for status in (second, third):
            await api.post(f"{WIPE}?devices=phone", {"status": status, "remoteIP": "10.1.2.3", "time": 1_700_000_000})
            assert await statuses(api, "?devices=phone") == {"phone": status}
        await admin.delete(f"{path}/wipe")
        assert await statuses(api, "?devices=phone") == {"phone": 1}

    await admin.put(f"{path}/resync")
    assert [(await api.put(sync))["data"]["resync"] for _ in range(2)] == [True, False]
    (device,) = (await admin.get(path.removesuffix("/phone")))["data"]
    assert (device["devicetype"], device["asversion"], device["wipeStatus"]) == ("Pixel", 16.1, 1)
    assert [row[3] for row in await history(service)] == [1, 2, 4, 8, 1, 16, 32, 64, 1]
    assert [row[2] for row in await history(service)].count("10.1.2.3") == 4


async def test_number_of_the_protocol_is_one_with_a_point(service: Service, admin: Api, jane: dict[str, Any]) -> None:
    """A whole number comes back as 14.0: to a client that tells numbers apart by their look it is one like 16.1."""
    await service.api.put("/service/sync/jane@example.org/phone", {"asversion": 14})
    url = f"{service.url}/api/v1/domains/{jane['domainID']}/users/{jane['ID']}/sync"
    async with service.session.get(url, headers=admin.headers) as answer:
        assert '"asversion":14.0,' in (await answer.text()).replace(" ", "")


async def test_report_changes_what_it_names(service: Service, admin: Api, jane: dict[str, Any]) -> None:
    """A report leaves alone what it does not name; the last contact is now, unless it says otherwise."""
    path = "/service/sync/J@example.org/phone"
    await service.api.put(path, {"devicetype": "Pixel", "foldersSynced": 3, "lastconnecttime": 5, "asversion": "16"})
    await service.api.put(path, {"foldersSynced": 2**63 - 1})
    (device,) = (await admin.get(f"/domains/{jane['domainID']}/users/{jane['ID']}/sync"))["data"]
    assert (device["devicetype"], device["foldersSynced"], device["asversion"]) == ("Pixel", 2**63 - 1, "16")
    assert device["lastconnecttime"] > 1_700_000_000
    assert device["firstsynctime"] is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("devicetype", 5),
        ("devicetype", None),
        ("devicetype", "x" * 65),
        ("useragent", "a\nb"),
        ("useragent", "x" * 256),
        ("deviceuser", "nul\0"),
        ("deviceuser", "x" * 321),
        ("firstsynctime", "1"),
        ("firstsynctime", -1),
        ("lastupdatetime", 1.5),
        ("lastconnecttime", 2**63),
        ("lastconnecttime", True),
        ("foldersSyncable", -1),
        ("foldersSynced", None),
        ("asversion", None),
        ("asversion", True),
        ("asversion", [16]),
        ("asversion", -1),
        ("asversion", 1e300),
        ("asversion", "x" * 33),
        ("asversion", "16\n"),
        ("wipeStatus", 1),
        ("deviceid", "phone"),
    ],
)
async def test_report_of_a_device_refuses(service: Service, jane: dict[str, Any], name: str, value: Any) -> None:
    """Wrong input is a 400 that names the field; nothing is stored, and a mark to start over stays for the next."""
    path = "/service/sync/jane@example.org/phone"
    assert name in await service.api.refused(400, "PUT", path, {"devicetype": "Pixel", name: value})
    assert await statuses(service.api) == {}


async def test_reports_at_the_same_time(service: Service, jane: dict[str, Any]) -> None:
    """Reports of many devices at once are all stored."""
    paths = [f"/service/sync/jane@example.org/d{number}" for number in range(20)]
    await asyncio.gather(*(service.api.put(path, {"devicetype": "x"}) for path in paths))
    assert len(await statuses(service.api)) == 20


async def test_login_that_may_goes_by_its_own_password(service: Service, admin: Api, jane: dict[str, Any]) -> None:
    """A login that lets in starts a wipe with its own password alone; another one counts for nothing."""
    path = f"{WIPE}?devices=a"
    await admin.refused(403, "POST", path, START)
    await admin.post(path, {"status": 2, "password": ADMIN_PASSWORD})
    await admin.post(path, {"status": 1})
    helper = await service.login_with(jane["domainID"], ("ResetPasswd", {}))
    john = await admin.make_user(jane["domainID"], "john", password="another password")
    other = f"/service/wipe/{john['username']}?devices=a"
    await helper.refused(403, "POST", other, START)
    await helper.post(other, {"status": 2, "password": "another password"})
