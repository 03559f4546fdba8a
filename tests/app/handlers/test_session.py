"""Login, tokens, CSRF, and changing one's own password."""

import asyncio
import base64
import hashlib
import time
from collections.abc import Hashable
from typing import Any

import jwt
import pytest

from postroom.app.auth import passwords
from postroom.app.auth.passwords import verify_hash
from postroom.storage import auth
from tests.conftest import StartService
from tests.support.service import ADMIN_PASSWORD, USER_PASSWORD, Api, Service

ROLE = ("DomainAdmin", {"everything": True})


async def tokens(service: Service, name: str = "admin", password: str = ADMIN_PASSWORD) -> dict[str, str]:
    """The answer to a login."""
    answer = await service.api.call("POST", "/login", data={"user": name, "pass": password})
    assert answer.status == 200, answer.body
    body: dict[str, str] = answer.body
    return body


def with_cookie(service: Service, given: dict[str, str], **headers: str) -> Api:
    """The API as a browser uses it."""
    return Api(service, {"Cookie": f"other=1; grommunioAuthJwt={given['grommunioAuthJwt']}", **headers})


async def test_login_by_form_and_json(service: Service) -> None:
    """Both kinds of body give a token and its CSRF token, and no cookie is set."""
    form = await service.api.call("POST", "/login", data={"user": "admin", "pass": ADMIN_PASSWORD})
    plain = await service.api.call("POST", "/login", {"user": "ADMIN", "pass": ADMIN_PASSWORD})
    for answer in (form, plain):
        assert answer.status == 200
        assert set(answer.body) == {"grommunioAuthJwt", "csrf"}
        assert "Set-Cookie" not in answer.headers
        digest = hashlib.sha3_256(answer.body["grommunioAuthJwt"].encode()).digest()
        assert answer.body["csrf"] == base64.b64encode(digest).decode()


async def test_wrong_logins_look_the_same(service: Service, admin: Api, domain: int) -> None:
    """Unknown name, wrong password, no role, suspended: one answer for all."""
    await admin.make_user(domain, "norole")
    helper = await service.login_with(domain, ROLE)
    user_id = (await helper.get("/profile"))["user"]["ID"]
    await admin.patch(f"/domains/{domain}/users/{user_id}", {"status": 1})
    bodies = []
    for name, password in (
        ("nobody", "whatever"),
        ("admin", "wrong"),
        ("norole@example.org", USER_PASSWORD),
        ("helper@example.org", USER_PASSWORD),
        ("admin", ""),
        ("admin", ADMIN_PASSWORD + "\0"),
        ("' OR 1=1 --", "x"),
    ):
        answer = await service.api.call("POST", "/login", data={"user": name, "pass": password})
        assert answer.status in (400, 401)
        if answer.status == 401:
            bodies.append(answer.body)
    assert len(bodies) == 6
    assert all(body == bodies[0] for body in bodies)


@pytest.mark.genuine
async def test_unknown_names_cost_as_much_as_known_ones(
    service: Service, admin: Api, domain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is named, a login computes one hash of the same costs: the time it takes tells nothing."""
    await admin.make_user(domain, "nopassword", status=4)
    costs: list[str] = []

    def verify(stored: str, password: str) -> bool:
        costs.append(stored.rpartition("$")[0].rpartition("$")[0])
        return verify_hash(stored, password)

    monkeypatch.setattr(passwords, "verify_hash", verify)
    for name in ("admin", "nobody", "nopassword@example.org", "nobody@example.org"):
        await service.api.refused(401, "POST", "/login", {"user": name, "pass": "wrong password"})
    assert len(costs) == 4
    assert len(set(costs)) == 1


@pytest.mark.parametrize("body", [{}, {"user": "admin"}, {"pass": "x"}, {"user": 1, "pass": "x"}, [], "x"])
async def test_login_without_what_it_needs(service: Service, body: Any) -> None:
    """A login that names no one, or only half, is a 400."""
    await service.api.refused(400, "POST", "/login", body)


async def test_login_with_altname(service: Service, admin: Api, domain: int) -> None:
    """An altname logs in like the username, in any case."""
    helper = await service.login_with(domain, ROLE)
    user_id = (await helper.get("/profile"))["user"]["ID"]
    await admin.patch(f"/domains/{domain}/users/{user_id}", {"altnames": [{"altname": "H.Elper"}]})
    await service.login("h.ELPER", USER_PASSWORD)
    await service.login("HELPER@example.org", USER_PASSWORD)


async def test_refresh(service: Service) -> None:
    """A valid cookie renews the login as often as asked; an invalid one is a 401."""
    api = with_cookie(service, await tokens(service))
    answers = [await api.call("POST", "/login") for _ in range(3)]
    assert [answer.status for answer in answers] == [200] * 3
    assert len({answer.body["grommunioAuthJwt"] for answer in answers}) == 3
    json_typed = await api.call("POST", "/login", headers={"Content-Type": "application/json"})
    assert json_typed.status == 200
    await with_cookie(service, {"grommunioAuthJwt": "x.y.z"}).refused(401, "POST", "/login")


async def test_cookie_needs_the_csrf_header_to_write(service: Service) -> None:
    """With the cookie, reads work without X-Csrf-Token and writes only with the right one; Bearer needs none."""
    given = await tokens(service)
    body = {"domainname": "a.org", "maxUser": 1}
    await with_cookie(service, given).get("/profile")
    for wrong in ({}, {"X-Csrf-Token": "wrong"}, {"X-Csrf-Token": "ümlaut"}, {"X-Csrf-Token": ""}):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            path = "/system/domains" if method == "POST" else "/system/domains/1"
            if method == "PUT":
                path = "/system/mconf/ldap"
            await with_cookie(service, given, **wrong).refused(401, method, path, body)
    await with_cookie(service, given, **{"X-Csrf-Token": given["csrf"]}).post("/system/domains", body)
    bearer = Api(service, {"Authorization": f"bearer {given['grommunioAuthJwt']}"})
    await bearer.post("/system/domains", {**body, "domainname": "b.org"})


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic YWRtaW46eA=="},
        {"Cookie": "grommunioAuthJwt="},
        {"Cookie": "grommunioAuthJwt=a.b.c"},
        {"Cookie": "something=else"},
    ],
)
async def test_no_login_no_access(service: Service, headers: dict[str, str]) -> None:
    """Without a token that counts there is a 401 of the contract's shape."""
    answer = await Api(service, headers).call("GET", "/profile")
    assert answer.status == 401
    assert answer.body["message"] == "Access denied"


async def test_forged_tokens(service: Service) -> None:
    """Tokens without a signature, with another key, of another user or from the past do not count."""
    now = int(time.time())
    await service.login("admin", ADMIN_PASSWORD)
    ((session_id,),) = await service.context.database.fetch_all("SELECT session_id FROM sessions")
    good = {"sub": "0", "epoch": 0, "sid": session_id, "iat": now, "exp": now + 100}
    key = await service.context.database.read(auth.find_token_key)
    forged = [
        jwt.encode(good, "another key of thirty-two characters and more", "HS256"),
        jwt.encode(good, "", "none"),
        jwt.encode({**good, "exp": now - 1}, key, "HS256"),
        jwt.encode({**good, "sub": "999"}, key, "HS256"),
        jwt.encode({**good, "epoch": 1}, key, "HS256"),
        jwt.encode({**good, "sub": "x"}, key, "HS256"),
        jwt.encode({"sub": "0", "epoch": 0, "sid": session_id}, key, "HS256"),
        jwt.encode({**good, "sid": "0" * 32}, key, "HS256"),
        jwt.encode({"sub": "0", "epoch": 0, "exp": now + 100}, key, "HS256"),
    ]
    await Api(service, {"Authorization": f"Bearer {jwt.encode(good, key, 'HS256')}"}).get("/profile")
    for token in forged:
        await Api(service, {"Authorization": f"Bearer {token}"}).refused(401, "GET", "/profile")


async def test_tokens_expire(start_service: StartService) -> None:
    """After its life a token that was known a moment ago does not count any more."""
    service = await start_service(token_lifetime=1)
    admin = await service.login("admin", ADMIN_PASSWORD)
    await admin.get("/profile")
    await asyncio.sleep(1.1)
    await admin.refused(401, "GET", "/profile")


async def test_changes_take_effect_on_tokens_at_once(service: Service, admin: Api, domain: int) -> None:
    """Password, status, role, domain, deletion: the next request with an old token feels each of them."""

    def take_roles(connection: Any) -> None:
        connection.execute("DELETE FROM user_roles")

    async def suspend(path: str) -> None:
        await admin.patch(path, {"status": 1})

    async def set_password(path: str) -> None:
        await admin.put(f"{path}/password", {"new": "another one"})

    async def drop_role(_path: str) -> None:
        await service.context.database.write(take_roles)

    async def mark_domain(_path: str) -> None:
        await admin.delete(f"/system/domains/{domain}")
        await admin.refused(401, "GET", "/domains", headers=helper.headers)
        await admin.patch(f"/system/domains/{domain}", {"domainStatus": 1})

    async def delete(path: str) -> None:
        await admin.delete(path)

    for number, change in enumerate((suspend, set_password, drop_role, delete, mark_domain)):
        helper = await service.login_with(domain, ROLE, name=f"helper{number}")
        user_id = (await helper.get("/profile"))["user"]["ID"]
        path = f"/domains/{domain}/users/{user_id}"
        await helper.get(path)
        await change(path)
        await helper.refused(401, "GET", path)


async def test_suspended_token_stays_dead(service: Service, admin: Api, domain: int) -> None:
    """Who comes back after a suspension has to log in again."""
    helper = await service.login_with(domain, ROLE)
    path = f"/domains/{domain}/users/{(await helper.get('/profile'))['user']['ID']}"
    await admin.patch(path, {"status": 1})
    await admin.patch(path, {"status": 0})
    await helper.refused(401, "GET", path)
    await service.login("helper@example.org", USER_PASSWORD)


async def test_a_change_by_another_process_is_noticed(
    start_service: StartService, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Two services on one file: what one revokes, the other refuses within a moment."""
    path = str(tmp_path_factory.mktemp("store") / "postroom.sqlite3")
    one, other = await start_service(database=path), await start_service(database=path)
    admin = await one.login("admin", ADMIN_PASSWORD)
    domain = await admin.make_domain("example.org")
    helper = await one.login_with(domain, ROLE)
    elsewhere = Api(other, helper.headers)
    user_id = (await elsewhere.get("/profile"))["user"]["ID"]
    await admin.patch(f"/domains/{domain}/users/{user_id}", {"status": 1})
    for _ in range(50):
        if (await elsewhere.call("GET", "/profile")).status == 401:
            return
        await asyncio.sleep(0.1)
    pytest.fail("the other process still lets a suspended user in")


async def test_profile(service: Service, admin: Api, domain: int) -> None:
    """The profile has the user without fetchmail, and the capabilities of their permissions."""
    profile = await admin.get("/profile")
    assert profile["user"]["ID"] == 0
    assert profile["user"]["username"] == "admin"
    assert "fetchmail" not in profile["user"]
    assert set(profile["capabilities"]) == {
        "SystemAdminWrite", "SystemAdminRead", "DomainAdminWrite", "DomainAdminRead", "DomainPurge", "OrgAdmin",
        "ResetPasswd",
    }  # fmt: skip
    helper = await service.login_with(domain, ("DomainAdminRO", {"domain_id": domain}))
    profile = await helper.get("/profile")
    assert profile["capabilities"] == ["DomainAdminRead"]
    assert profile["scopes"] == [{"capability": "DomainAdminRead", "all": False, "IDs": [domain]}]


async def test_change_own_password(service: Service, admin: Api) -> None:
    """PUT /passwd needs the old password, keeps the session it was made from, and the new one counts from then on."""
    await admin.refused(403, "PUT", "/passwd", {"old": "wrong", "new": "long enough"})
    for wrong in ({"new": "short"}, {"new": ""}, {"new": "nul\0nul"}, {"new": "x" * 513}, {"new": None}, {"new": 5}):
        assert "new" in await admin.refused(400, "PUT", "/passwd", {"old": ADMIN_PASSWORD, **wrong})
    assert "old" in await admin.refused(400, "PUT", "/passwd", {"new": "long enough"})
    other = await service.login("admin", ADMIN_PASSWORD)
    await admin.put("/passwd", {"old": ADMIN_PASSWORD, "new": "x" * 512})
    await admin.get("/profile")
    await other.refused(401, "GET", "/profile")
    await other.refused(401, "POST", "/login")
    await service.api.refused(401, "POST", "/login", {"user": "admin", "pass": ADMIN_PASSWORD})
    await service.api.refused(401, "POST", "/login", {"user": "admin", "pass": "x" * 511})
    await service.login("admin", "x" * 512)


async def test_session_of_the_last_change_is_kept(service: Service, admin: Api) -> None:
    """One session goes on over each change, also renewed; a change from elsewhere ends it."""
    first = await service.login("admin", ADMIN_PASSWORD)
    for old, new in ((ADMIN_PASSWORD, "second one"), ("second one", "third one")):
        await first.put("/passwd", {"old": old, "new": new})
    renewed = (await first.call("POST", "/login")).body["grommunioAuthJwt"]
    await Api(service, {"Authorization": f"Bearer {renewed}"}).get("/profile")
    second = await service.login("admin", "third one")
    await second.put("/passwd", {"old": "third one", "new": "fourth one"})
    for ended in (admin, first):
        await ended.refused(401, "GET", "/profile")
    await service.api.put("/passwd", {"user": "admin", "old": "fourth one", "new": "fifth one"})
    await second.refused(401, "GET", "/profile")


async def test_kept_session_ends_like_any_other(service: Service, admin: Api, domain: int) -> None:
    """A session that a change of password left alone is gone after a reset, and after a suspension for good."""
    for reset in ("password", "status"):
        helper = await service.login_with(domain, ROLE, name=reset)
        await helper.put("/passwd", {"old": USER_PASSWORD, "new": "my own choice"})
        path = f"/domains/{domain}/users/{(await helper.get('/profile'))['user']['ID']}"
        if reset == "password":
            await admin.put(f"{path}/password", {"new": "somebody else's"})
        else:
            await admin.patch(path, {"status": 1})
            await helper.refused(401, "GET", "/profile")
            await admin.patch(path, {"status": 0})
        await helper.refused(401, "GET", "/profile")


async def test_change_password_by_name(service: Service, admin: Api, domain: int) -> None:
    """With `user` in the body the old password is the login, no cookie and no role are needed, and every login ends."""
    await admin.make_user(domain, "jane", altnames=[{"altname": "JD"}])
    for name in ("jane@example.org", "jd"):
        body = {"user": name, "old": USER_PASSWORD, "new": "brand new one"}
        await service.api.refused(401, "PUT", "/passwd", {**body, "old": "wrong"})
        await service.api.put("/passwd", body)
        await service.api.put("/passwd", {**body, "old": "brand new one", "new": USER_PASSWORD})
    await service.api.refused(401, "PUT", "/passwd", {"old": ADMIN_PASSWORD, "new": "brand new one"})
    await service.api.put("/passwd", {"user": "admin", "old": ADMIN_PASSWORD, "new": "brand new one"})
    await admin.refused(401, "GET", "/profile")
    await service.login("admin", "brand new one")


async def test_who_cannot_change_by_name(service: Service, admin: Api, domain: int) -> None:
    """Suspended, of a deleted domain, a shared mailbox or unknown: all get the answer of a wrong password."""
    jane = await admin.make_user(domain, "jane")
    await admin.make_user(domain, "info", status=4, password=USER_PASSWORD)
    body = {"old": USER_PASSWORD, "new": "brand new one"}

    async def refusal(name: str) -> str:
        return await service.api.refused(401, "PUT", "/passwd", {"user": name, **body})

    expected = await refusal("nobody@example.org")
    assert await refusal("info@example.org") == expected
    await admin.patch(f"/domains/{domain}/users/{jane['ID']}", {"status": 1})
    assert await refusal("jane@example.org") == expected
    await admin.patch(f"/domains/{domain}/users/{jane['ID']}", {"status": 0})
    await admin.delete(f"/system/domains/{domain}")
    assert await refusal("jane@example.org") == expected


@pytest.mark.genuine
async def test_changes_at_the_same_time(service: Service, admin: Api, domain: int) -> None:
    """Of two changes with the same old password one succeeds, and a reset that came between is not undone."""
    jane = await admin.make_user(domain, "jane")
    bodies = [{"user": "jane@example.org", "old": USER_PASSWORD, "new": f"new password {n}"} for n in range(4)]
    answers = await asyncio.gather(*(service.api.call("PUT", "/passwd", body) for body in bodies))
    statuses = [answer.status for answer in answers]
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 401, 403}
    kept = bodies[statuses.index(200)]["new"]

    reset = service.context.passwords.hash

    async def overtaken(password: str, owner: Hashable = None) -> str:
        # Between the check of the old password and the write of the new one.
        hashed = await reset(password, owner)
        if password == "too late":
            await admin.put(f"/domains/{domain}/users/{jane['ID']}/password", {"new": "set by the admin"})
        return hashed

    service.context.passwords.hash = overtaken  # type: ignore[method-assign]
    await service.api.refused(403, "PUT", "/passwd", {**bodies[0], "old": kept, "new": "too late"})
    await service.api.put("/passwd", {**bodies[0], "old": "set by the admin", "new": "in time"})


async def test_set_password_of_a_user(service: Service, admin: Api, domain: int) -> None:
    """An administrator sets a password of the minimum length, never the own one this way."""
    helper = await service.login_with(domain, ROLE)
    user_id = (await helper.get("/profile"))["user"]["ID"]
    path = f"/domains/{domain}/users/{user_id}/password"
    for wrong in ({"new": "12345"}, {"new": ""}, {}, {"new": "nul\0nul"}, {"new": "x" * 513}, {"new": 123456}):
        assert "new" in await admin.refused(400, "PUT", path, wrong)
    await helper.refused(400, "PUT", path, {"new": "long enough"})
    await admin.put(path, {"new": "123456"})
    await service.login("helper@example.org", "123456")


async def test_minimum_length_can_be_set(start_service: StartService) -> None:
    """The configured minimum counts for every way to set a password."""
    service = await start_service(password_min_length=12)
    admin = await service.login("admin", ADMIN_PASSWORD)
    domain = await admin.make_domain("example.org")
    user = await admin.make_user(domain, "jane")
    assert "12" in await admin.refused(400, "PUT", f"/domains/{domain}/users/{user['ID']}/password", {"new": "x" * 11})
    assert "12" in await admin.refused(
        400, "POST", f"/domains/{domain}/users", {"username": "john", "password": "x" * 11}
    )
    assert "12" in await admin.refused(400, "PUT", "/passwd", {"old": ADMIN_PASSWORD, "new": "x" * 11})


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=x", "multipart/form-data; boundary="]
)
async def test_login_with_a_form_that_is_none(service: Service, content_type: str) -> None:
    """A form in parts without a boundary, or without the parts that it announces, is a 400."""
    await service.api.refused(400, "POST", "/login", data=b"user=admin&pass=x", headers={"Content-Type": content_type})
