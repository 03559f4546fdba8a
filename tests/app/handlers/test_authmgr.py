"""What a login goes by, with a real directory."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from postroom.app.auth.passwords import Passwords
from tests.conftest import StartService
from tests.support.people import CONFIG, add_person, document
from tests.support.service import ADMIN_PASSWORD, USER_PASSWORD, Api, Service
from tests.support.slapd import USER_PASSWORD as LDAP_PASSWORD
from tests.support.slapd import Slapd

AUTHMGR = "/system/mconf/authmgr"
LINKED, LOCAL = "linked@example.com", "local@example.com"


@pytest.fixture
def slapd() -> Iterator[Slapd]:
    """A directory of the test's own."""
    with Slapd() as server:
        yield server


async def select(admin: Api, backend: str) -> None:
    """Stores what logins go by."""
    await admin.put(AUTHMGR, {"authBackendSelection": backend})


async def log_in(service: Service, name: str, password: str) -> int:
    """The status of a login."""
    answer = await service.api.call("POST", "/login", {"user": name, "pass": password})
    return answer.status


async def make_people(service: Service, slapd: Slapd) -> Api:
    """The administrator, and two others who may log in: one of the directory, and one with a local password."""
    admin = await service.login("admin", ADMIN_PASSWORD)
    await admin.put(CONFIG, document(slapd))
    domain = await admin.make_domain("example.com")
    add_person(slapd, "linked", f"userPassword: {LDAP_PASSWORD}")
    linked = await admin.post("/domains/ldap/importUser", params={"ID": "linked"})
    local = await admin.make_user(domain, "local")
    role = {"name": "All", "permissions": [{"permission": "SystemAdmin", "params": None}]}
    await admin.post("/system/roles", {**role, "users": [linked["ID"], local["ID"]]})
    return admin


async def logins(service: Service) -> dict[tuple[str, str], int]:
    """The status of every login that could be."""
    names = {"admin": (ADMIN_PASSWORD,), LINKED: (LDAP_PASSWORD, USER_PASSWORD), LOCAL: (USER_PASSWORD, LDAP_PASSWORD),
             "nobody@example.com": (USER_PASSWORD,)}  # fmt: skip
    return {(name, password): await log_in(service, name, password) for name in names for password in names[name]}


#: Backend -> who gets in, and with which password.
GET_IN = {
    "externid": {("admin", ADMIN_PASSWORD), (LINKED, LDAP_PASSWORD), (LOCAL, USER_PASSWORD)},
    "always_mysql": {("admin", ADMIN_PASSWORD), (LOCAL, USER_PASSWORD)},
    "always_ldap": {("admin", ADMIN_PASSWORD), (LINKED, LDAP_PASSWORD)},
}


@pytest.mark.slapd
async def test_who_gets_in(service: Service, slapd: Slapd) -> None:
    """Each backend lets in those whom it is for, by their password there, from the next login on; `admin` always."""
    admin = await make_people(service, slapd)
    for backend in (*GET_IN, "externid"):
        await select(admin, backend)
        found = await logins(service)
        assert {who for who, status in found.items() if status == 200} == GET_IN[backend]
        assert set(found.values()) == {200, 401}
    await select(admin, "always_mysql")
    await admin.delete(AUTHMGR)
    assert {who for who, status in (await logins(service)).items() if status == 200} == GET_IN["externid"]


@pytest.mark.slapd
async def test_the_directory_is_not_asked(service: Service, slapd: Slapd) -> None:
    """With the local password for all, a directory that is away is in nobody's way; otherwise its users get a 503."""
    admin = await make_people(service, slapd)
    slapd.stop()
    assert await log_in(service, LINKED, LDAP_PASSWORD) == 503
    await select(admin, "always_mysql")
    assert await log_in(service, LINKED, LDAP_PASSWORD) == 401
    await select(admin, "always_ldap")
    assert await log_in(service, LINKED, LDAP_PASSWORD) == 503
    # Whoever fails is answered alike, or the names would be told that the directory has.
    assert {await log_in(service, name, "wrong") for name in ("admin", LOCAL, "nobody@example.com", "x")} == {503}
    assert await log_in(service, "admin", ADMIN_PASSWORD) == 200


@pytest.mark.slapd
async def test_it_counts_wherever_a_password_does(service: Service, slapd: Slapd) -> None:
    """Changing an own password and wiping a device go by the same backend as the login."""
    admin = await make_people(service, slapd)
    local, linked = await service.login(LOCAL, USER_PASSWORD), await service.login(LINKED, LDAP_PASSWORD)
    wipe = "/domains/1/users/1/sync/phone/wipe"
    await select(admin, "always_ldap")
    change = {"old": USER_PASSWORD, "new": "another password"}
    await local.refused(403, "PUT", "/passwd", change)
    await local.refused(401, "PUT", "/passwd", {"user": LOCAL, **change})
    await local.refused(403, "POST", wipe, {"password": USER_PASSWORD})
    await linked.refused(400, "PUT", "/passwd", {"old": LDAP_PASSWORD, "new": "another password"})
    await admin.put("/passwd", {"old": ADMIN_PASSWORD, "new": ADMIN_PASSWORD + "!"})
    await select(await service.login("admin", ADMIN_PASSWORD + "!"), "always_mysql")
    await linked.refused(403, "POST", wipe, {"password": LDAP_PASSWORD})
    await linked.refused(400, "PUT", "/passwd", {"old": LDAP_PASSWORD, "new": "another password"})
    assert (await local.call("POST", wipe, {"password": USER_PASSWORD})).status in (200, 201)


@pytest.mark.slapd
async def test_it_counts_in_every_process(start_service: StartService, slapd: Slapd, tmp_path: Path) -> None:
    """What one process stores counts at once in another on the same database, and after a restart."""
    database = str(tmp_path / "store.sqlite3")
    one, two = await start_service(database=database), await start_service(database=database)
    admin = await make_people(one, slapd)
    await select(admin, "always_ldap")
    assert (await log_in(two, LOCAL, USER_PASSWORD), await log_in(two, LINKED, LDAP_PASSWORD)) == (401, 200)
    three = await start_service(database=database)
    assert (await (await three.login("admin", ADMIN_PASSWORD)).get(AUTHMGR))["authBackendSelection"] == "always_ldap"


@pytest.mark.genuine
@pytest.mark.slapd
@pytest.mark.parametrize(("backend", "names"), [("always_ldap", (LOCAL, "nobody@example.com")),
                                                ("always_mysql", (LOCAL, LINKED, "nobody@example.com"))])  # fmt: skip
async def test_a_login_that_fails_takes_the_same_work(
    service: Service, slapd: Slapd, monkeypatch: pytest.MonkeyPatch, backend: str, names: tuple[str, ...]
) -> None:
    """Whoever has no password that could match is checked against a hash all the same: time does not tell names."""
    admin = await make_people(service, slapd)
    await select(admin, backend)
    verify, checked = Passwords.verify, list[str]()

    async def count(self: Passwords, stored: str | None, password: str) -> bool:
        checked.append(password)
        return await verify(self, stored, password)

    monkeypatch.setattr(Passwords, "verify", count)
    answers = [await service.api.call("POST", "/login", {"user": name, "pass": "wrong"}) for name in names]
    assert checked == ["wrong"] * len(names)
    assert [(answer.status, answer.body) for answer in answers] == [(401, answers[0].body)] * len(names)


async def test_reading_and_storing(admin: Api) -> None:
    """The selection is at the top, as described, and in `data`, where the web console looks; it begins as externid."""

    async def read() -> Any:
        found = await admin.get(AUTHMGR)
        assert found["data"] == {"authBackendSelection": found["authBackendSelection"]}
        assert found.keys() == {"authBackendSelection", "data"}
        return found["authBackendSelection"]

    assert await read() == "externid"
    for backend in ("always_ldap", "always_mysql", "externid", "always_ldap", "always_ldap"):
        await select(admin, backend)
        assert await read() == backend
    for _ in range(2):
        await admin.delete(AUTHMGR)
        assert await read() == "externid"


@pytest.mark.parametrize(
    "body", [{}, {"authBackendSelection": None}, {"authBackendSelection": "allow_all"}, {"authBackendSelection": ""},
             {"authBackendSelection": "EXTERNID"}, {"authBackendSelection": ["externid"]},
             {"authBackendSelection": "externid", "more": 1}, [], "externid"],
)  # fmt: skip
async def test_selections_that_are_none(admin: Api, body: Any) -> None:
    """Anything else is a 400, and what was stored stays."""
    await select(admin, "always_mysql")
    await admin.refused(400, "PUT", AUTHMGR, body)
    assert (await admin.get(AUTHMGR))["authBackendSelection"] == "always_mysql"


async def test_who_may(service: Service, domain: int) -> None:
    """Who reads everything sees it, and only who may do everything changes it."""
    reader = await service.login_with(domain, ("SystemAdminRO", {}), name="reader")
    helper = await service.login_with(domain, ("OrgAdmin", {"everything": True}), name="helper")
    await reader.get(AUTHMGR)
    await helper.refused(403, "GET", AUTHMGR)
    for caller in (reader, helper):
        await caller.refused(403, "PUT", AUTHMGR, {"authBackendSelection": "always_ldap"})
        await caller.refused(403, "DELETE", AUTHMGR)


async def test_logins_while_it_changes(service: Service, admin: Api, domain: int) -> None:
    """While somebody changes it back and forth, every login goes by the one or the other, and none fails otherwise."""
    await service.login_with(domain, ("DomainAdmin", {"everything": True}))

    async def change() -> None:
        for number in range(20):
            await select(admin, ("always_ldap", "always_mysql")[number % 2])

    changing = asyncio.create_task(change())
    found = [await log_in(service, "helper@example.org", USER_PASSWORD) for _ in range(10)]
    await changing
    assert set(found) <= {200, 401}
    assert await log_in(service, "helper@example.org", USER_PASSWORD) == 200
