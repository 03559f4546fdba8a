"""The record of changes over HTTP: who is recorded, what is not, and who may read it."""

import asyncio
from typing import Any

import orjson
import pytest

from postroom.app.openapi.example_calls import load
from postroom.app.routes import ROUTES
from postroom.app.services import audit
from postroom.app.web.authorship import operation_of
from postroom.app.web.routing import READS
from postroom.schemas.values.audit import AuditQuery, AuditScope
from postroom.storage import sessions
from postroom.storage.audit.rows import document, list_audit
from tests.conformance import examples
from tests.conftest import StartService
from tests.support.service import ADMIN_PASSWORD, NDJSON, USER_PASSWORD, Api, Service

#: Operations whose examples change nothing that is recorded.
SILENT = {
    "postLogin": "a login that begins is no change",
    "cancelTask": "not played: test_a_cancelled_task",
    "deleteOrphaned": "nobody is gone from the directory",
    "deleteSession": "not played: test_logins_that_are_ended",
    "deleteUserSessions": "there are none: test_logins_that_are_ended",
    "postMyLogin": "a login that begins is no change",
    "deleteMySession": "not played: what deleteSession calls",
    "putMyForward": "it is there already: test_changing_ones_own in test_me.py",
    "putMyDelegates": "they are there already: test_changing_ones_own in test_me.py",
}


async def recorded(service: Service, **asked: Any) -> list[dict[str, Any]]:
    """The rows that a query finds, the oldest first."""
    query = AuditQuery(**{"limit": 100_000, **asked})
    rows = await service.context.database.read(list_audit, query, AuditScope(everything=True))
    found: list[dict[str, Any]] = orjson.loads(orjson.dumps([document(row) for row in reversed(rows)]))
    return found


@pytest.mark.slapd
async def test_every_operation_that_writes_is_recorded() -> None:
    """Each successful example leaves rows with its operation, the caller, the means, the source and its request."""
    seen: set[str] = set()
    async with examples.stage() as (service, directory):
        for entry in load():
            before = len(await recorded(service))
            if not entry.get("played", True):
                continue
            await examples.play(service, directory, entry)
            rows = [row for row in (await recorded(service))[before:] if row["operation"] == entry["operation"]]
            if entry["status"] >= 300:
                assert not rows, entry
                continue
            if rows:
                seen.add(entry["operation"])
            for row in rows:
                assert row["requestID"]
                assert row["source"] == "127.0.0.1"
                assert row["means"] in ("session", "sync", "address", "password", "service"), row
                own = row["actor"] == entry.get("by", "admin")
                assert own or row["means"] in ("address", "password", "service"), row
    writing = {operation_of(route.handler) for route in ROUTES if route.method not in READS}
    assert seen <= writing
    assert writing - seen == SILENT.keys()


async def test_a_cancelled_task(service: Service, admin: Api) -> None:
    """Its cancellation is recorded."""

    async def work(_task_id: int) -> str:
        await asyncio.sleep(60)
        return ""

    task_id = await service.context.tasks.start("ldapSync", {}, None, work)
    answer = await admin.call("POST", f"/tasq/tasks/{task_id}/cancel")
    (row,) = await recorded(service, request_id=answer.headers["X-Request-ID"])
    assert (row["operation"], row["kind"], row["objectID"]) == ("cancelTask", "task", task_id)


async def test_devices_that_are_removed(service: Service, admin: Api, domain: int) -> None:
    """Each is a field of its user."""
    user = await admin.make_user(domain, "anna")
    await service.api.put(f"/service/sync/{user['username']}/phone", {"devicetype": "phone"})
    await admin.delete(f"/domains/{domain}/users/{user['ID']}/sync")
    row = (await recorded(service))[-1]
    assert row["operation"] == "removeDeviceStates"
    assert row["changes"]["devices.phone.deviceType"] == ["phone", None]


async def test_logins_that_are_ended(service: Service, admin: Api, domain: int) -> None:
    """Those that somebody has ended are recorded; those that begin, or that have expired, are not."""
    anna = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}), name="anna")
    user = (await admin.get(f"/domains/{domain}/users"))["data"][0]
    ended = (await anna.get("/sessions"))["data"][0]
    await anna.delete(f"/sessions/{ended['ID']}")
    await service.login(user["username"], USER_PASSWORD)
    await admin.delete(f"/domains/{domain}/users/{user['ID']}/sessions")
    await service.login(user["username"], USER_PASSWORD)
    await service.context.database.write(sessions.delete_expired_sessions, 2**40, 100)
    rows = [row for row in await recorded(service, name=user["username"]) if "sessions" in row["changes"]]
    assert [(row["actor"], row["operation"]) for row in rows] == [
        (user["username"], "deleteSession"),
        ("admin", "deleteUserSessions"),
    ]
    member = {"source": ended["source"], "userAgent": ended["userAgent"]}
    assert all(row["changes"] == {"sessions": [[member], []]} for row in rows)


async def test_a_token_for_programs(service: Service, admin: Api, domain: int) -> None:
    """It is recorded without its secret, and so is what is done by it; it goes with its user."""
    anna = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}), name="anna")
    user = (await admin.get(f"/domains/{domain}/users"))["data"][0]
    permissions = [{"permission": "DomainAdmin", "params": domain}]
    made = await anna.post("/tokens", {"name": "nightly", "permissions": permissions})
    program = Api(service, {"Authorization": f"Bearer {made['token']}"})
    await program.patch(f"/domains/{domain}/users/{user['ID']}", {"smtp": True})
    row, other = (await recorded(service))[-2:]
    assert (row["kind"], row["objectID"], row["name"], row["domainID"]) == ("token", made["ID"], "nightly", domain)
    assert row["changes"]["token"] == [None, "(secret)"]
    assert row["changes"]["permissions"] == [[], [{"permission": "DomainAdmin", "domainID": domain, "all": 0}]]
    assert (other["means"], other["actor"], other["token"]) == ("token", user["username"], "nightly")
    await anna.delete(f"/tokens/{made['ID']}")
    gone = (await recorded(service))[-1]
    assert (gone["action"], gone["kind"], gone["name"], gone["domainID"]) == ("delete", "token", "nightly", domain)


async def test_each_means(service: Service, admin: Api, domain: int) -> None:
    """A login, a request with the password in it, one that is trusted by its address, and the service itself."""
    user = await admin.make_user(domain, "anna")
    name = user["username"]
    await service.api.put("/passwd", {"user": name, "old": USER_PASSWORD, "new": "another good one"})
    await service.api.put(f"/service/sync/{name}/phone", {"devicetype": "phone"})
    rows = await recorded(service, name=name)
    assert [(row["means"], row["actor"], row["operation"]) for row in rows] == [
        ("session", "admin", "postUser"),
        ("password", name, "putPasswd"),
        ("address", "", "putDeviceReport"),
    ]
    assert rows[1]["changes"] == {"password": ["(secret)", "(secret)"]}
    assert {row["means"] for row in await recorded(service, kind="settings")} == {"service"}


async def test_what_fails_is_not_recorded(service: Service, admin: Api, domain: int) -> None:
    """Neither a refused write, nor a line of a dry run, nor a refused line."""
    await admin.make_user(domain, "anna")
    before = await recorded(service)
    await admin.refused(400, "POST", f"/domains/{domain}/users", {"username": "anna", "password": "a good one"})
    await admin.refused(404, "PATCH", f"/domains/{domain}/users/99", {"smtp": True})
    lines = '{"create": {"username": "bert", "password": "a good one"}}\n{"patch": {"ID": 99, "smtp": true}}\n'
    headers = {"Content-Type": NDJSON}
    await admin.call("POST", f"/domains/{domain}/users/bulk?dryRun=true", data=lines, headers=headers)
    assert [row for row in (await recorded(service))[len(before) :] if row["kind"] != "task"] == []
    await admin.call("POST", f"/domains/{domain}/users/bulk", data=lines, headers=headers)
    added = [row for row in (await recorded(service))[len(before) :] if row["kind"] != "task"]
    assert [(row["operation"], row["action"], row["name"]) for row in added] == [
        ("bulkUsers", "create", "bert@example.org")
    ]


async def test_writes_that_share_a_commit_have_their_own_authors(service: Service, admin: Api, domain: int) -> None:
    """Each row names the caller and the request of its own write, in whatever order they come."""
    callers = [
        await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}), name=f"helper{number}")
        for number in range(4)
    ]
    users = [await admin.make_user(domain, f"user{number}") for number in range(4)]
    since = len(await recorded(service))
    answers = await asyncio.gather(
        *(
            caller.call("PATCH", f"/domains/{domain}/users/{user['ID']}", {"lang": f"l{turn}"})
            for turn in range(5)
            for caller, user in zip(callers, users, strict=True)
        )
    )
    rows = (await recorded(service))[since:]
    assert {row["requestID"] for row in rows} == {answer.headers["X-Request-ID"] for answer in answers}
    of_user = {user["ID"]: f"helper{number}@example.org" for number, user in enumerate(users)}
    assert all(row["actor"] == of_user[row["objectID"]] for row in rows)
    assert len(rows) == 20


async def test_everybody_sees_what_they_may_read(service: Service, admin: Api, domain: int) -> None:
    """An administrator of a domain sees its rows only, whatever is asked; one of an organisation that as well."""
    other = await admin.make_domain("example.com")
    org = await admin.post("/system/orgs", {"name": "Org", "domains": [other]})
    mine = await admin.make_user(domain, "anna")
    theirs = await admin.make_user(other, "bert")
    helper = await service.login_with(domain, ("DomainAdminRO", {"domain_id": domain}))
    for query in ("", "?actor=admin", "?means=session", "?operation=postUser", "?kind=user", "?kind=domain",
                  f"?domainID={other}", f"?kind=user&objectID={theirs['ID']}", f"?name={theirs['username']}",
                  f"?after={2**62}", "?before=1"):  # fmt: skip
        found = (await helper.get(f"/audit{query}"))["data"]
        assert {row["domainID"] for row in found} <= {domain}, query
    assert await helper.get(f"/audit?name={mine['username']}")
    chief = await service.login_with(other, ("OrgAdmin", {"org_id": org["ID"]}), name="chief")
    found = (await chief.get("/audit"))["data"]
    assert {(row["kind"], row["domainID"]) for row in found} >= {("org", None), ("domain", other), ("user", other)}
    assert {row["domainID"] for row in found} == {None, other}
    nobody = await service.login_with(domain, ("ResetPasswd", {}), name="nobody")
    await nobody.refused(403, "GET", "/audit")


async def test_a_loss_of_rights_counts_at_once(service: Service, admin: Api, domain: int) -> None:
    """Whoever has lost the domain sees its rows no more."""
    helper = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}))
    assert (await helper.get("/audit"))["data"]
    (user,) = [user for user in (await admin.get(f"/domains/{domain}/users"))["data"] if "helper" in user["username"]]
    await admin.patch(f"/domains/{domain}/users/{user['ID']}/roles", {"roles": []})
    await helper.refused(401, "GET", "/audit")


async def test_pages_lead_through_all_rows(service: Service, admin: Api, domain: int) -> None:
    """Each row once in both directions, at any cursor, and as lines."""
    for number in range(7):
        await admin.make_user(domain, f"user{number}")
    expected = [row["ID"] for row in reversed(await recorded(service))]
    found: list[int] = []
    path: str | None = "/audit?limit=3"
    while path:
        page = await admin.get(path)
        found += [row["ID"] for row in page["data"]]
        path = f"/audit?limit=3&after={page['nextAfter']}" if "nextAfter" in page else None
    assert found == expected
    back: list[int] = []
    path = f"/audit?limit=3&before={expected[-1]}"
    while path:
        page = await admin.get(path)
        back = [row["ID"] for row in page["data"]] + back
        path = f"/audit?limit=3&before={page['nextBefore']}" if "nextBefore" in page else None
    assert back == expected[:-1]
    lines = await admin.call("GET", "/audit", headers={"Accept": NDJSON})
    assert [row["ID"] for row in lines.body] == expected
    assert len((await admin.call("GET", "/audit?limit=4", headers={"Accept": NDJSON})).body) == 4


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("startTime=yesterday", "Not a date or time"), ("objectID=7", "Needs a kind"), ("kind=cat", "Must be one of"),
        ("after=1&before=2", "Only one of"), ("after=x", "Not an ID"), ("means=x", "Must be one of"),
    ],
)  # fmt: skip
async def test_bad_queries(admin: Api, query: str, reason: str) -> None:
    """Each names its parameter."""
    assert reason in await admin.refused(400, "GET", f"/audit?{query}")


async def test_filters(service: Service, admin: Api, domain: int) -> None:
    """Each finds what it says, alone and together; a name finds what was called so before."""
    user = await admin.make_user(domain, "anna")
    patched = await admin.call("PATCH", f"/domains/{domain}/users/{user['ID']}", {"username": "berta"})
    request = patched.headers["X-Request-ID"]
    (row,) = (await admin.get(f"/audit?requestID={request}"))["data"]
    assert row["changes"]["username"] == ["anna@example.org", "berta@example.org"]
    for name in ("anna@example.org", "berta@example.org", "Anna@Example.org", "BERTA@example.org"):
        assert len((await admin.get(f"/audit?name={name}"))["data"]) == 2
    assert len((await admin.get("/audit?name=anna@example.org&operation=patchUser&actor=0"))["data"]) == 1
    time = row["time"]
    assert (await admin.get(f"/audit?endTime={time}&operation=patchUser"))["data"] == []
    assert (await admin.get(f"/audit?startTime={time}"))["data"] == [row]
    assert (await admin.get("/audit?startTime=2020-01-01&endTime=2021-01-01T00:00:00%2B01:00"))["data"] == []


async def test_a_name_that_many_objects_had(service: Service, admin: Api, domain: int) -> None:
    """An object that had a name again and again does not hide another one that had it, too."""
    path = f"/domains/{domain}/users/{(await admin.make_user(domain, 'anna'))['ID']}"
    other = f"/domains/{domain}/users/{(await admin.make_user(domain, 'other'))['ID']}"
    await service.context.database.write(_rename_often, path.rpartition("/")[2])
    await admin.patch(path, {"username": "zoe"})
    await admin.patch(other, {"username": "anna"})
    await admin.patch(other, {"username": "berta"})
    found = (await admin.get("/audit?name=anna@example.org&kind=user&limit=1000"))["data"]
    assert {row["objectID"] for row in found} == {int(each.rpartition("/")[2]) for each in (path, other)}


def _rename_often(connection: Any, user_id: str) -> None:
    row = connection.execute("SELECT * FROM audit WHERE kind = 'user' AND object_id = ?", (int(user_id),)).fetchone()
    marks = ", ".join("?" * len(row))
    for number in range(1, 121):
        again = [row[0] + number, *row[1:13], "anna@example.org", *row[14:]]
        connection.execute(f"INSERT INTO audit VALUES ({marks})", again)


async def test_secrets_never_appear(service: Service, admin: Api, domain: int) -> None:
    """No password, hash or key is in the record, however it got into the database."""
    fetchmail = [{"srcServer": "s", "srcUser": "u", "srcPassword": "fetch-secret"}]
    user = await admin.make_user(domain, "anna", password="first-secret", fetchmail=fetchmail)
    await admin.put(f"/domains/{domain}/users/{user['ID']}/password", {"new": "second-secret"})
    stored = await service.context.database.fetch_all("SELECT password FROM users UNION SELECT value FROM settings")
    text = str(await recorded(service))
    for secret in ("first-secret", "second-secret", "fetch-secret", "sealed:", "$argon2", ADMIN_PASSWORD):
        assert secret not in text
    assert not any(value and len(value) > 20 and value in text for (value,) in stored)
    assert text.count("(secret)") >= 4


async def test_old_rows_are_deleted(start_service: StartService) -> None:
    """After POSTROOM_AUDIT_DAYS, by the service itself; younger ones stay."""
    service = await start_service(audit_days=1)
    database = service.context.database
    admin = await service.login("admin", ADMIN_PASSWORD)
    await admin.make_domain("example.org")

    def age(connection: Any) -> None:
        connection.execute("UPDATE audit SET id = id - 2 * 86400000000 WHERE kind <> 'domain'")

    await database.write(age)
    while await audit.forget_old_changes(service.context):
        pass
    assert [row["kind"] for row in await recorded(service)] == ["domain"]
