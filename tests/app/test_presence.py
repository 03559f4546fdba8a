"""Sessions of users of a directory: what begins and ends them, against a real OpenLDAP server."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from postroom.app.auth.throttle import LoginSource
from postroom.app.directory.client import Directory
from postroom.app.limits.memory import remember
from postroom.app.services import presence, sessions
from postroom.storage import auth, domains, users
from postroom.storage.sqlite import sqlite3
from tests.conftest import StartService
from tests.support.people import CONFIG, add_person, document, sync
from tests.support.service import ADMIN_PASSWORD, USER_PASSWORD, Api, Service
from tests.support.slapd import USER_PASSWORD as LDAP_PASSWORD
from tests.support.slapd import Slapd

pytestmark = pytest.mark.attack

slapd_needed = pytest.mark.slapd
ROLE = ("DomainAdmin", {"domain_id": 1})
ANNA = "anna@example.com"


@pytest.fixture
def slapd() -> Iterator[Slapd]:
    """A directory of the test's own, with Anna, who has a password there."""
    with Slapd() as server:
        add_person(server, "anna", f"userPassword: {LDAP_PASSWORD}")
        yield server


async def set_up(service: Service, slapd: Slapd) -> tuple[Api, Api, str]:
    """The administrator, Anna logged in with a local password, and her path."""
    admin = await service.login("admin", ADMIN_PASSWORD)
    await admin.put(CONFIG, document(slapd))
    await admin.make_domain("example.com")
    anna = await service.login_with(1, ROLE, name="anna")
    user_id = (await anna.get("/profile"))["user"]["ID"]
    return admin, anna, f"/domains/1/users/{user_id}"


async def hash_of(service: Service, path: str) -> Any:
    """The stored hash of a user."""
    user_id = int(path.rpartition("/")[2])
    return await service.context.database.fetch_value("SELECT password FROM users WHERE id = ?", (user_id,))


@slapd_needed
@pytest.mark.parametrize("how", ["downsync", "import"])
async def test_linking_ends_sessions_and_forgets_the_password(service: Service, slapd: Slapd, how: str) -> None:
    """Whoever is linked logs in anew, by the directory; also the session that a change of password has kept ends."""
    admin, anna, path = await set_up(service, slapd)
    await anna.put("/passwd", {"old": USER_PASSWORD, "new": "another password"})
    await anna.get("/profile")
    if how == "downsync":
        await admin.put(f"{path}/downsync", params={"ID": "anna"})
    else:
        answer = await admin.call("POST", "/domains/ldap/importUser", params={"ID": "anna", "force": "true"})
        assert answer.status == 200
    await anna.refused(401, "GET", "/profile")
    assert await hash_of(service, path) is None
    for password in (USER_PASSWORD, "another password"):
        await service.api.refused(401, "POST", "/login", {"user": ANNA, "pass": password})
    again = await service.login(ANNA, LDAP_PASSWORD)
    # The same object once more is no other link.
    await admin.put(f"{path}/downsync", params={"ID": "anna"})
    await admin.put(f"{path}/downsync")
    await admin.patch(path, {"ldapID": "anna"})
    await sync(admin)
    await again.get("/profile")


@slapd_needed
async def test_another_object_ends_sessions(service: Service, slapd: Slapd) -> None:
    """Who is linked to another object is another person to the directory."""
    admin, _, path = await set_up(service, slapd)
    add_person(slapd, "other", mail=ANNA)
    await admin.put(f"{path}/downsync", params={"ID": "anna"})
    anna = await service.login(ANNA, LDAP_PASSWORD)
    await admin.put(f"{path}/downsync", params={"ID": "other"})
    await anna.refused(401, "GET", "/profile")


@slapd_needed
@pytest.mark.parametrize("how", ["PATCH", "sync"])
async def test_unlinking_ends_sessions_and_leaves_no_password(service: Service, slapd: Slapd, how: str) -> None:
    """Whoever leaves the directory is logged out, and logs in once somebody has set a password."""
    admin, _, path = await set_up(service, slapd)
    await admin.put(f"{path}/downsync", params={"ID": "anna"})
    anna = await service.login(ANNA, LDAP_PASSWORD)
    if how == "PATCH":
        await admin.patch(path, {"ldapID": None})
    else:
        slapd.delete(f"uid=anna,{slapd.people_dn}")
        await sync(admin, unlink="true", force="true")
    assert (await admin.get(path))["ldapID"] is None
    await anna.refused(401, "GET", "/profile")
    for password in (USER_PASSWORD, LDAP_PASSWORD):
        await service.api.refused(401, "POST", "/login", {"user": ANNA, "pass": password})
    await admin.put(f"{path}/password", {"new": "a new password"})
    await service.login(ANNA, "a new password")


@slapd_needed
async def test_a_password_on_its_way_does_not_outlive_the_link(
    service: Service, slapd: Slapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password that is being hashed while its user is linked is not stored after all."""
    admin, anna, path = await set_up(service, slapd)
    hashing, go_on = asyncio.Event(), asyncio.Event()
    real = type(service.context.passwords).hash

    async def slow(self: Any, password: str, owner: object) -> str:
        hashing.set()
        await go_on.wait()
        return await real(self, password, owner)

    monkeypatch.setattr(type(service.context.passwords), "hash", slow)
    resetting = asyncio.create_task(admin.call("PUT", f"{path}/password", {"new": "a new password"}))
    changing = asyncio.create_task(anna.call("PUT", "/passwd", {"old": USER_PASSWORD, "new": "a new password"}))
    await hashing.wait()
    await asyncio.sleep(0.2)
    await admin.put(f"{path}/downsync", params={"ID": "anna"})
    go_on.set()
    assert (await resetting).status == 400
    assert (await changing).status in (400, 401, 403)
    assert await hash_of(service, path) is None


@pytest.mark.parametrize("status", [1, 2, 3])
async def test_a_domain_that_comes_back(service: Service, admin: Api, domain: int, status: int) -> None:
    """Tokens from before a domain was closed stay dead, also one that a change of password has kept."""
    helper = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}))
    keeper = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}), name="keeper")
    await keeper.put("/passwd", {"old": USER_PASSWORD, "new": "another password"})
    elsewhere = await service.login_with(await admin.make_domain("far.org"), ("DomainAdmin", {"domain_id": domain}))
    await admin.patch(f"/system/domains/{domain}", {"domainStatus": status})
    await admin.patch(f"/system/domains/{domain}", {"domainStatus": 0})
    for dead in (helper, keeper):
        await dead.refused(401, "GET", "/profile")
        await dead.refused(401, "POST", "/login")
    await elsewhere.get("/profile")
    anew = await service.login("keeper@example.org", "another password")
    await anew.put("/passwd", {"old": "another password", "new": USER_PASSWORD})
    await anew.get("/profile")


async def test_closing_a_domain_is_one_row(service: Service, admin: Api, domain: int) -> None:
    """However many people are in it: their tokens end by the domain's own epoch."""

    def fill(connection: sqlite3.Connection) -> None:
        for number in range(300):
            users.insert_user(connection, domain, f"person{number}@example.org", None)

    def close(connection: sqlite3.Connection) -> int:
        before = connection.total_changes
        domains.update_domain(connection, domain, {"domainStatus": 3})
        return connection.total_changes - before

    await service.context.database.write(fill)
    assert await service.context.database.write(close) < 10


async def test_roles_that_come_back(service: Service, admin: Api, domain: int) -> None:
    """Who had no role for a moment logs in anew; who only gets others stays logged in."""
    role = {"name": "one", "permissions": [{"permission": "DomainAdmin", "params": domain}]}
    roles = [(await admin.post("/system/roles", {**role, "name": name}))["ID"] for name in ("one", "two")]
    user = await admin.make_user(domain, "jane")
    path = f"/domains/{domain}/users/{user['ID']}/roles"

    async def logged_in() -> Api:
        await admin.patch(path, {"roles": roles[:1]})
        return await service.login(user["username"], USER_PASSWORD)

    jane = await logged_in()
    for held in ([roles[0]], roles, [roles[1]], [roles[0]]):
        await admin.patch(path, {"roles": held})
        await jane.get("/profile")
    await admin.patch(f"/system/roles/{roles[0]}", {"users": [user["ID"]]})
    await jane.get("/profile")
    await admin.patch(path, {"roles": []})
    await admin.patch(path, {"roles": roles})
    await jane.refused(401, "GET", "/profile")
    jane = await logged_in()
    await admin.patch(f"/system/roles/{roles[0]}", {"users": []})
    await admin.patch(f"/system/roles/{roles[0]}", {"users": [user["ID"]]})
    await jane.refused(401, "GET", "/profile")
    jane = await logged_in()
    await admin.delete(f"/system/roles/{roles[0]}")
    await admin.patch(path, {"roles": roles[1:]})
    await jane.refused(401, "GET", "/profile")


async def test_users_that_come_back(service: Service, admin: Api, domain: int) -> None:
    """A user of the name of a deleted one is somebody else to every token, also in a purged domain made anew."""
    for purge in (False, True):
        jane = await service.login_with(domain, ("ResetPasswd", {}), name=f"jane{purge}")
        user_id = (await jane.get("/profile"))["user"]["ID"]
        await admin.delete(f"/domains/{domain}/users/{user_id}")
        if purge:
            await admin.delete(f"/system/domains/{domain}?purge=true")
            domain = await admin.make_domain("example.org")
        again = await admin.make_user(domain, f"jane{purge}")
        await admin.post("/system/roles", {"name": f"all {purge}", "users": [again["ID"]]})
        assert again["ID"] > user_id
        await service.login(again["username"], USER_PASSWORD)
        await jane.refused(401, "GET", "/profile")


class Renewals:
    """Anna, linked, and renewals of her session with a token of any age."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def token(self, age: float) -> str:
        """A token that says that the directory was seen to have Anna so many seconds ago."""
        account = await auth.select_login(self.service.context.database, ANNA)
        assert account is not None
        found = self.service.context.presence._found
        before = dict(found)
        begun = await sessions.begin(self.service.context, account, LoginSource(b"", "-", shared=True), "")
        # A login is a sign of life, which this token is not to be.
        found.clear()
        found.update(before)
        session_id = jwt.decode(begun["grommunioAuthJwt"], options={"verify_signature": False})["sid"]
        return self.service.context.tokens.issue(account, session_id, time.time() - age)["grommunioAuthJwt"]

    async def renew(self, age: float) -> tuple[int, float | None]:
        """The status of a renewal with such a token, and the age that the new one tells."""
        answer = await Api(self.service, {"Authorization": f"Bearer {await self.token(age)}"}).call("POST", "/login")
        if answer.status != 200:
            return answer.status, None
        claims = jwt.decode(answer.body["grommunioAuthJwt"], options={"verify_signature": False})
        return 200, time.time() - claims["seen"]

    def forget(self) -> None:
        """What a restart, or time, does to what is remembered."""
        self.service.context.presence._found.clear()


async def linked(service: Service, slapd: Slapd) -> Renewals:
    """Anna is linked, and has never logged in at the directory."""
    admin, _, path = await set_up(service, slapd)
    await admin.put(f"{path}/downsync", params={"ID": "anna"})
    return Renewals(service)


@slapd_needed
async def test_renewal_while_the_directory_has_the_user(service: Service, slapd: Slapd) -> None:
    """A session goes on as long as its user is in the directory, and not longer."""
    anna = await linked(service, slapd)
    status, age = await anna.renew(presence.ASK_AGAIN + 10)
    assert status == 200
    assert age is not None
    assert age < 60
    # A login is seen by the directory as well.
    answer = await service.api.call("POST", "/login", {"user": ANNA, "pass": LDAP_PASSWORD})
    assert "seen" in jwt.decode(answer.body["grommunioAuthJwt"], options={"verify_signature": False})
    slapd.delete(f"uid=anna,{slapd.people_dn}")
    # What was found out a moment ago counts for a few minutes.
    assert (await anna.renew(presence.ASK_AGAIN + 10))[0] == 200
    anna.forget()
    assert (await anna.renew(presence.ASK_AGAIN + 10))[0] == 401
    # Also with a token that was renewed lately.
    assert (await anna.renew(0))[0] == 401


@slapd_needed
async def test_renewal_by_who_fell_out_of_the_filter(service: Service, slapd: Slapd) -> None:
    """Who would not be let in any more has no session renewed either."""
    anna = await linked(service, slapd)
    admin = await service.login("admin", ADMIN_PASSWORD)
    await admin.put(CONFIG, document(slapd, users={"filter": "(!(uid=anna))"}))
    assert (await anna.renew(presence.ASK_AGAIN + 10))[0] == 401


@slapd_needed
async def test_renewal_while_the_directory_is_away(start_service: StartService, slapd: Slapd) -> None:
    """For the configured time after the directory was last seen to have the user; then 503, and no server's name."""
    service = await start_service(ldap_grace=1000, ldap_timeout=2)
    anna = await linked(service, slapd)
    slapd.stop()
    status, age = await anna.renew(900)
    assert status == 200
    assert age is not None
    assert 890 < age < 990, "an answer that did not come is no sign of life"
    # The same user's: it is the directory that was last seen so long ago, not the token that is so old.
    assert (await anna.renew(1100))[0] == 200
    anna.forget()
    assert (await anna.renew(1100))[0] == 503
    token = await anna.token(1100)
    reasons = await Api(service, {"Authorization": f"Bearer {token}"}).refused(503, "POST", "/login")
    assert str(slapd.port) not in reasons
    # The session itself goes on.
    await Api(service, {"Authorization": f"Bearer {token}"}).get("/profile")
    anna.forget()
    assert (await anna.renew(900))[0] == 200
    slapd.start()
    anna.forget()
    assert (await anna.renew(5000))[0] == 200


@slapd_needed
async def test_without_grace(start_service: StartService, slapd: Slapd) -> None:
    """With no grace a directory that is away renews nothing that has to be asked for; nor does one that is gone."""
    service = await start_service(ldap_grace=0, ldap_timeout=2)
    anna = await linked(service, slapd)
    admin = await service.login("admin", ADMIN_PASSWORD)
    await admin.delete(CONFIG)
    assert (await anna.renew(presence.ASK_AGAIN + 10))[0] == 503


@slapd_needed
async def test_who_is_gone_stays_gone_while_the_directory_is_away(
    service: Service, slapd: Slapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory that goes away after it has said no gives nobody back."""
    anna = await linked(service, slapd)
    slapd.delete(f"uid=anna,{slapd.people_dn}")
    assert (await anna.renew(400))[0] == 401
    slapd.stop()
    monkeypatch.setattr(presence, "ASK_AGAIN", 0.0)
    assert (await anna.renew(400))[0] == 401


@slapd_needed
async def test_the_directory_is_asked_rarely(service: Service, slapd: Slapd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for all renewals of a user within minutes, at the same time and one after the other; never for others."""
    anna = await linked(service, slapd)
    asked = 0
    real = Directory.fetch

    async def counting(self: Directory, object_id: bytes) -> Any:
        nonlocal asked
        asked += 1
        return await real(self, object_id)

    monkeypatch.setattr(Directory, "fetch", counting)
    assert {status for status, _ in await asyncio.gather(*[anna.renew(400) for _ in range(30)])} == {200}
    assert (await anna.renew(5000))[0] == 200
    assert asked == 1
    slapd.stop()
    anna.forget()
    for _ in range(3):
        assert (await anna.renew(400))[0] == 200
    assert asked == 2
    for local in (await service.login("admin", ADMIN_PASSWORD), await service.login_with(1, ROLE, name="local")):
        assert (await local.call("POST", "/login")).status == 200
    assert asked == 2


@slapd_needed
async def test_only_so_many_users_are_remembered(
    service: Service, slapd: Slapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest answer makes room; a question that its asker gave up is asked to its end and forgotten."""
    monkeypatch.setattr(presence, "MOST", 5)
    anna = await linked(service, slapd)
    account = await auth.select_login(service.context.database, ANNA)
    assert account is not None
    known = service.context.presence
    for number in range(20):
        remember(known._found, (number, "x"), presence._Found(presence._Answer.HAS, 0, 0), presence.MOST)
    assert len(known._found) == 5
    given_up = asyncio.create_task(known.check(account, 0))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    assert (await anna.renew(5000))[0] == 200
    assert not known._asking
