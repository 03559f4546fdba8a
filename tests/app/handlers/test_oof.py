"""Out of office over HTTP."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.conftest import StartService
from tests.support.service import ADMIN_PASSWORD, Api, Service

OFF = {"state": 0, "externalAudience": 0}
START, END = "2026-07-01 08:00:00", "2026-07-03 17:30:00"
WHOLE = {
    "state": 2,
    "externalAudience": 1,
    "startTime": START,
    "endTime": END,
    "internalSubject": "Away",
    "internalReply": "Dear all,\r\n\r\nSubject: not one\n👩‍🚀",
    "externalSubject": "",
    "externalReply": '"quoted" \\ {"a": null}',
}


@pytest.fixture
async def path(admin: Api, domain: int) -> str:
    """The path of a user's out of office state."""
    user = await admin.make_user(domain, "jane", aliases=["J.Doe@example.org"], altnames=[{"altname": "jd"}])
    return f"/domains/{domain}/users/{user['ID']}/oof"


async def test_off_by_default(admin: Api, path: str) -> None:
    """Who never set anything is off, with nothing else in the answer."""
    assert await admin.get(path) == OFF


async def test_everything_comes_back_as_put(admin: Api, path: str) -> None:
    """Times, subjects and replies are what was put, to the last line break; what was read can be put."""
    answer = await admin.put(path, WHOLE)
    assert set(answer) == {"message"}
    assert "jane@example.org" in answer["message"]
    assert await admin.get(path) == WHOLE
    await admin.put(path, await admin.get(path))
    assert await admin.get(path) == WHOLE


async def test_put_changes_what_is_given(admin: Api, path: str) -> None:
    """Fields that are not given stay, null removes one, and an empty subject is neither removed nor made up."""
    await admin.put(path, WHOLE)
    await admin.put(path, {"externalAudience": 2})
    await admin.put(path, {"internalSubject": "", "externalReply": None})
    await admin.put(path, {})
    expected = {**WHOLE, "externalAudience": 2, "internalSubject": ""}
    del expected["externalReply"]
    assert await admin.get(path) == expected
    await admin.put(path, {"state": 0, **dict.fromkeys(set(WHOLE) - set(OFF))})
    assert await admin.get(path) == {"state": 0, "externalAudience": 2}


async def test_unknown_fields_are_ignored(admin: Api, path: str) -> None:
    """A web client sends the state of its interface along; that is neither an error nor stored."""
    await admin.put(path, {"state": 1, "loading": False, "snackbar": None, "user_id": 1, "data": {}})
    assert await admin.get(path) == {"state": 1, "externalAudience": 0}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"state": "1"}, "state"),
        ({"state": True}, "state"),
        ({"state": 1.0}, "state"),
        ({"state": 3}, "state"),
        ({"state": 2**80}, "state"),
        ({"state": None}, "state"),
        ({"externalAudience": None}, "externalAudience"),
        ({"externalAudience": -1}, "externalAudience"),
        ({"externalAudience": "0"}, "externalAudience"),
        ({"startTime": "2026-02-30 00:00:00"}, "startTime"),
        ({"endTime": "2026-12-32 00:00:00"}, "endTime"),
        ({"endTime": 5}, "endTime"),
        ({"endTime": ""}, "endTime"),
        ({"startTime": "2026-08-02 00:00:00", "endTime": "2026-08-01 00:00:00"}, "endTime"),
        ({"startTime": "2026-08-02 00:00:00", "endTime": "2026-08-02 00:00:00"}, "endTime"),
        ({"startTime": "2026-07-04 00:00:00"}, "endTime"),
        ({"endTime": START}, "endTime"),
        ({"endTime": "2026-06-01 00:00:00", "state": 0}, "endTime"),
        ({"startTime": None}, "startTime"),
        ({"endTime": None}, "endTime"),
        ({"internalSubject": "two\nlines"}, "internalSubject"),
        ({"externalSubject": "forged\r\nBcc: x@example.net"}, "externalSubject"),
        ({"externalSubject": "tab\t"}, "externalSubject"),
        ({"internalSubject": "next\u0085line"}, "internalSubject"),
        ({"internalSubject": "x" * 256}, "internalSubject"),
        ({"internalSubject": 5}, "internalSubject"),
        ({"internalReply": "nul\0"}, "internalReply"),
        ({"externalReply": "x" * 32_768}, "externalReply"),
        ({"externalReply": ["x"]}, "externalReply"),
    ],
)
async def test_put_refuses_and_changes_nothing(admin: Api, path: str, changes: dict[str, Any], named: str) -> None:
    """Each kind of wrong input is a 400 that names the field, and leaves the good fields beside it unwritten too."""
    await admin.put(path, WHOLE)
    assert named in await admin.refused(400, "PUT", path, {"internalReply": "changed", **changes})
    assert await admin.get(path) == WHOLE


@pytest.mark.parametrize("body", ["[]", "5", '"x"', "null", "", "{", '{"state": NaN}', '{"internalReply": "\\ud800"}'])
async def test_put_needs_an_object(admin: Api, path: str, body: str) -> None:
    """A body that is no JSON object is a 400."""
    await admin.refused(400, "PUT", path, data=body, headers={"Content-Type": "application/json"})
    assert await admin.get(path) == OFF


async def test_a_schedule_needs_both_times(admin: Api, path: str) -> None:
    """State 2 is refused until start and end are there, from this request or an earlier one."""
    for missing in ({}, {"startTime": START}, {"endTime": END}, {"startTime": START, "endTime": None}):
        assert "state is 2" in await admin.refused(400, "PUT", path, {"state": 2, **missing})
    await admin.put(path, {"startTime": START})
    await admin.put(path, {"state": 2, "endTime": END})
    await admin.refused(400, "PUT", path, {"startTime": None})
    await admin.put(path, {"state": 1, "startTime": None})
    assert await admin.get(path) == {"state": 1, "externalAudience": 0, "endTime": END}


async def test_both_times_can_move_past_the_stored_ones(admin: Api, path: str) -> None:
    """A new period is compared with itself, not half of it with the old one."""
    await admin.put(path, WHOLE)
    later = {"startTime": "2027-01-01 00:00:00", "endTime": "2027-01-02 00:00:00"}
    await admin.put(path, later)
    assert await admin.get(path) == {**WHOLE, **later}


async def test_concurrent_puts_of_different_fields_lose_none(admin: Api, path: str) -> None:
    """Fields that are set at the same time are all set in the end."""
    await admin.put(path, {"startTime": START, "endTime": END})
    await asyncio.gather(*(admin.put(path, {name: value}) for name, value in WHOLE.items()))
    assert await admin.get(path) == WHOLE


async def test_only_users_of_the_domain_count(admin: Api, domain: int, path: str) -> None:
    """Under another domain, or with an ID that nobody has, there is nothing, for both verbs."""
    other = await admin.make_domain("example.net")
    foreign = path.replace(f"/domains/{domain}/", f"/domains/{other}/")
    users = f"/domains/{domain}/users"
    for wrong in (foreign, *(f"{users}/{user}/oof" for user in (0, 999, "x", 2**63, -1))):
        await admin.refused(404, "GET", wrong)
        await admin.refused(404, "PUT", wrong, {"state": 1})
    assert await admin.get(path) == OFF


async def test_permissions(service: Service, domain: int, path: str) -> None:
    """Reading needs read, setting needs write, in that very domain; without a login there is neither."""
    reader = await service.login_with(domain, ("DomainAdminRO", {"domain_id": domain}), name="reader")
    writer = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}), name="writer")
    stranger = await service.login_with(domain, ("ResetPasswd", {}), name="stranger")
    await writer.put(path, {"state": 1})
    assert (await reader.get(path))["state"] == 1
    await reader.refused(403, "PUT", path, {"state": 0})
    for method in ("GET", "PUT"):
        await stranger.refused(403, method, path, None if method == "GET" else {"state": 0})
        await service.api.refused(401, method, path, None if method == "GET" else {"state": 0})
    assert (await reader.get(path))["state"] == 1


@pytest.mark.parametrize("name", ["jane@example.org", "JANE@EXAMPLE.ORG", "j.doe@example.org", "J.DOE%40Example.Org"])
async def test_mail_server_asks_by_any_address(admin: Api, path: str, name: str) -> None:
    """The state is found by username and by alias, in any case, with whether it is in force."""
    assert await admin.get(f"/service/oof/{name}") == {"data": {"inForce": False, **OFF}}
    await admin.put(path, {"state": 1, "internalSubject": ""})
    expected = {"inForce": True, "state": 1, "externalAudience": 0, "internalSubject": ""}
    assert await admin.get(f"/service/oof/{name}") == {"data": expected}


@pytest.mark.parametrize(
    "name", ["john@example.org", "jane", "jd", "admin", "%00", "%ff", "%ED%A0%80", "x%0Ay", "%25", "a%2Fb", "x" * 3000]
)
async def test_mail_server_asks_for_nobody(admin: Api, path: str, name: str) -> None:
    """What is no username or alias, an altname or the administrator among it, is not found."""
    await admin.refused(404, "GET", f"/service/oof/{name}")


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Pacific/Kiritimati"])
async def test_schedule_counts_in_the_configured_zone(start_service: StartService, zone: str) -> None:
    """A period around this moment by the zone's clock is in force; one that is over or to come is not."""
    service = await start_service(timezone=ZoneInfo(zone))
    admin = await service.login("admin", ADMIN_PASSWORD)
    domain = await admin.make_domain("example.org")
    user = await admin.make_user(domain, "jane")
    now = datetime.now(UTC)

    async def in_force(start: int, end: int) -> bool:
        times = {
            name: (now + timedelta(minutes=minutes)).astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S")
            for name, minutes in (("startTime", start), ("endTime", end))
        }
        await admin.put(f"/domains/{domain}/users/{user['ID']}/oof", {"state": 2, **times})
        answer = await admin.get("/service/oof/jane@example.org")
        return bool(answer["data"]["inForce"])

    assert await in_force(-5, 5)
    assert not await in_force(-10, -5)
    assert not await in_force(5, 10)


async def test_state_goes_with_its_user(admin: Api, service: Service, domain: int, path: str) -> None:
    """A deleted user leaves no row behind."""
    await admin.put(path, WHOLE)
    await admin.delete(path.removesuffix("/oof"))
    assert await service.context.database.fetch_value("SELECT count(*) FROM oof") == 0


# In 2026 the clocks of New York are set in the nights to 8 March and 1 November, those of Berlin to 29 March and 25
# October, those of Lord Howe by half an hour to 4 October and 5 April.
ACCEPTED = [
    ("Europe/Berlin", "2026-10-25 02:45:00", "2026-10-25 02:15:00"),
    ("Europe/Berlin", "2026-10-25 02:30:00", "2026-10-25 02:30:00"),
    ("Europe/Berlin", "2026-03-29 02:30:00", "2026-03-29 03:31:00"),
    ("America/New_York", "2026-11-01 01:59:59", "2026-11-01 01:00:00"),
    ("America/New_York", "2026-03-08 02:00:00", "2026-03-08 02:00:01"),
    ("Australia/Lord_Howe", "2026-04-05 01:45:00", "2026-04-05 01:31:00"),
    ("Australia/Lord_Howe", "2026-10-04 01:59:59", "2026-10-04 02:00:00"),
    ("UTC", "2026-10-25 02:15:00", "2026-10-25 02:45:00"),
]
REFUSED = [
    ("Europe/Berlin", "2026-10-25 03:00:00", "2026-10-25 02:59:59"),
    ("Europe/Berlin", "2026-03-29 02:30:00", "2026-03-29 03:15:00"),
    ("Europe/Berlin", "2026-03-29 02:30:00", "2026-03-29 03:30:00"),
    ("America/New_York", "2026-03-08 02:30:00", "2026-03-08 03:30:00"),
    ("Australia/Lord_Howe", "2026-10-04 02:15:00", "2026-10-04 02:45:00"),
    ("Australia/Lord_Howe", "2026-04-05 02:00:00", "2026-04-05 01:59:59"),
    ("UTC", "2026-10-25 02:45:00", "2026-10-25 02:15:00"),
    ("UTC", "2026-10-25 02:30:00", "2026-10-25 02:30:00"),
]


async def oof_in(start_service: StartService, zone: str, **settings: Any) -> tuple[Api, str]:
    """The API of a service in a time zone, and the path of somebody's out of office state."""
    service = await start_service(timezone=ZoneInfo(zone), **settings)
    admin = await service.login("admin", ADMIN_PASSWORD)
    return admin, "/domains/1/users/1/oof"


@pytest.mark.parametrize(("zone", "start", "end"), [*ACCEPTED, *REFUSED])
async def test_a_schedule_in_the_night_of_a_change(
    start_service: StartService, zone: str, start: str, end: str
) -> None:
    """What counts is whether the end comes after the start, not what the clock shows; it comes back as it was put."""
    admin, path = await oof_in(start_service, zone)
    await admin.make_user(await admin.make_domain("example.org"), "jane")
    schedule = {"state": 2, "externalAudience": 0, "startTime": start, "endTime": end}
    if (zone, start, end) in ACCEPTED:
        await admin.put(path, schedule)
        assert await admin.get(path) == schedule
        assert (await admin.get("/service/oof/jane@example.org"))["data"] == {"inForce": False, **schedule}
    else:
        assert zone in await admin.refused(400, "PUT", path, schedule)
        assert await admin.get(path) == OFF


async def test_another_time_zone_later(start_service: StartService, tmp_path: Path) -> None:
    """A schedule that makes no sense in a newly configured zone is read as it is, is never in force, can be put back,
    switched off and changed beside its times; a time that is changed has to make sense again."""
    zone, start, end = ACCEPTED[0]
    schedule = {"state": 2, "externalAudience": 0, "startTime": start, "endTime": end}
    database = str(tmp_path / "postroom.sqlite3")
    admin, path = await oof_in(start_service, zone, database=database)
    await admin.make_user(await admin.make_domain("example.org"), "jane")
    await admin.put(path, schedule)
    admin, path = await oof_in(start_service, "UTC", database=database)
    assert await admin.get(path) == schedule
    assert (await admin.get("/service/oof/jane@example.org"))["data"]["inForce"] is False
    await admin.put(path, {**schedule, "internalSubject": "Away"})
    await admin.refused(400, "PUT", path, {"startTime": "2026-10-25 02:44:00"})
    await admin.put(path, {"state": 0})
    await admin.refused(400, "PUT", path, {"state": 2})
    assert await admin.get(path) == {**schedule, "state": 0, "internalSubject": "Away"}
